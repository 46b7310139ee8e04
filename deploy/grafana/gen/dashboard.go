package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

// The labels by which dashboards select series. The Kubernetes labels come from resource
// attributes, which are labels only if they are promoted (docs/route.md). The label instance exists
// only if a program sets service.instance.id. The option All is ".*", which also selects series
// without the label.
var (
	clusterLabel   = promql.Label(semconv.K8SClusterNameKey)
	namespaceLabel = promql.Label(semconv.K8SNamespaceNameKey)
	podLabel       = promql.Label(semconv.K8SPodNameKey)
	nodeLabel      = promql.Label(semconv.K8SNodeNameKey)
	poolLabel      = promql.Label(catalog.PoolNameKey)
	kindLabel      = promql.Label(catalog.PoolKindKey)
)

const (
	jobLabel      = "job"
	instanceLabel = "instance"

	// podSuffix matches the suffix that a controller appends to a workload's name to form the name
	// of a pod: a hash, a random part, both, or a number. Random parts contain no vowels.
	podSuffix = "(-[^aeiou-]{5,10}|-[0-9]+){0,2}"
)

// scope holds the matchers that every query has, except the matcher for the pool.
var scope = strings.Join([]string{
	clusterLabel + `=~"$cluster"`, namespaceLabel + `=~"$namespace"`,
	podLabel + `=~"$workload` + podSuffix + `"`, podLabel + `=~"$pod"`,
	jobLabel + `=~"$job"`, instanceLabel + `=~"$instance"`,
}, ",")

// row is a heading and the panels below it.
type row struct {
	title  string
	panels []panel
}

// newDashboard returns a dashboard with links to the other dashboards. The options of its variables
// are the values of the labels of metric.
func newDashboard(
	uid, title, help, metric string,
	rows []row,
	more ...*dashboard.QueryVariableBuilder,
) dashboard.Dashboard {
	b := dashboard.NewDashboardBuilder(title).
		Uid(uid).
		Description(help).
		Tags([]string{"poolgauge"}).
		Readonly().
		Version(1).
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Refresh("30s").
		Time("now-1h", "now").
		Timezone("browser").
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").
			Label("Data source").Type("prometheus").Current(chosen("default", "default")))
	for _, v := range append(variables(metric), more...) {
		b.WithVariable(v)
	}
	for _, l := range links(uid) {
		b.Link(l)
	}
	id := uint32(0)
	for _, r := range rows {
		id++
		b.WithRow(dashboard.NewRowBuilder(r.title).Id(id))
		for _, p := range r.panels {
			id++
			p.Id = cog.ToPtr(id)
			b.WithPanel(p)
		}
	}
	return must(b.Build())
}

// variables returns the variables that every dashboard has. Their options are the values of the
// labels of metric. The choice for one variable narrows the options of the variables after it.
func variables(metric string) []*dashboard.QueryVariableBuilder {
	inCluster := clusterLabel + `=~"$cluster"`
	inNamespace := inCluster + `,` + namespaceLabel + `=~"$namespace"`
	inWorkload := inNamespace + `,` + podLabel + `=~"$workload` + podSuffix + `"`
	inPod := inWorkload + `,` + podLabel + `=~"$pod"`
	return []*dashboard.QueryVariableBuilder{
		choice("cluster", "Cluster", metric, clusterLabel),
		choice("namespace", "Namespace", metric+`{`+inCluster+`}`, namespaceLabel),
		choice(
			"workload",
			"Workload",
			metric+`{`+inNamespace+`,`+podLabel+`!=""}`,
			podLabel,
		).Regex("/^(.+?)" + podSuffix + "$/"),
		choice("pod", "Pod", metric+`{`+inWorkload+`}`, podLabel),
		choice("job", "Service", metric+`{`+inPod+`}`, jobLabel),
		choice("instance", "Instance", metric+`{`+inPod+`,`+jobLabel+`=~"$job"}`, instanceLabel),
	}
}

// choice returns a variable whose options are the values of a label in series. Users see the
// variable under title. They can choose several options; the default is all.
func choice(name, title, series, label string) *dashboard.QueryVariableBuilder {
	q := "label_values(" + series + ", " + label + ")"
	return dashboard.NewQueryVariableBuilder(name).Label(title).Datasource(source).Definition(q).
		Query(dashboard.StringOrMap{Map: map[string]any{"query": q, "refId": "variable"}}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).IncludeAll(true).AllValue(".*").Current(chosen("All", "$__all"))
}

func chosen(text, value string) dashboard.VariableOption {
	return dashboard.VariableOption{
		Selected: cog.ToPtr(
			true,
		),
		Text:  dashboard.StringOrArrayOfString{String: &text},
		Value: dashboard.StringOrArrayOfString{String: &value},
	}
}

// The uids of the dashboards.
const (
	poolsUID = "poolgauge-pools"
	hostUID  = "poolgauge-host"
	fleetUID = "poolgauge-fleet"
)

// links returns the links from the dashboard with the given uid to the other dashboards. A link
// carries only the Kubernetes variables, because a pool's service differs from that of the sidecar
// on the same host.
func links(from string) []*dashboard.DashboardLinkBuilder {
	var list []*dashboard.DashboardLinkBuilder
	for _, target := range []struct{ uid, title string }{
		{poolsUID, "Pools"}, {hostUID, "Host and container"}, {fleetUID, "Fleet"},
	} {
		if target.uid != from {
			list = append(
				list,
				dashboard.NewDashboardLinkBuilder(target.title).
					Type(dashboard.DashboardLinkTypeLink).
					Icon("dashboard").
					KeepTime(true).
					Url("/d/"+target.uid+"?"+carriedVariables),
			)
		}
	}
	return list
}

// carriedVariables holds the URL parameters for the variables that a link carries.
const carriedVariables = "${datasource:queryparam}&${cluster:queryparam}&${namespace:queryparam}&${workload:queryparam}&${pod:queryparam}"

// linkTo returns a link from a table cell to the dashboard with the given uid. The link sets
// variables of the dashboard to values from the row: fromRow maps a variable to a column.
func linkTo(title, uid string, fromRow map[string]string) []object {
	url := "/d/" + uid + "?${datasource:queryparam}&${__url_time_range}"
	for _, v := range slices.Sorted(maps.Keys(fromRow)) {
		url += "&var-" + v + `=${__data.fields["` + fromRow[v] + `"]}`
	}
	return []object{{"title": title, "url": url, "targetBlank": false}}
}
