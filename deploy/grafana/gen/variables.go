package main

import (
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

// The labels by which a dashboard selects. Those of Kubernetes are resource attributes, which exist where they are promoted
// (docs/route.md); job and instance always exist. All is ".*" for the former, since that selects series without the label too.
var (
	clusterLabel   = promql.Label(semconv.K8SClusterNameKey)
	namespaceLabel = promql.Label(semconv.K8SNamespaceNameKey)
	podLabel       = promql.Label(semconv.K8SPodNameKey)
	poolLabel      = promql.Label(catalog.PoolNameKey)
	kindLabel      = promql.Label(catalog.PoolKindKey)
)

const (
	jobLabel      = "job"
	instanceLabel = "instance"

	// podSuffix is what a workload's controller appends to its name for a pod's: a hash, a random part or a number. Their random letters
	// have no vowels.
	podSuffix = "(-[^aeiou-]{5,10}|-[0-9]+){0,2}"
)

var source = datasource{Type: "prometheus", UID: "${datasource}"}

// scope is what every query selects by, besides the pool.
var scope = strings.Join([]string{
	clusterLabel + `=~"$cluster"`, namespaceLabel + `=~"$namespace"`,
	podLabel + `=~"$workload` + podSuffix + `"`, podLabel + `=~"$pod"`,
	jobLabel + `=~"$job"`, instanceLabel + `=~"$instance"`,
}, ",")

// variables are those of every dashboard. Their options are the labels of the metric, each narrowed by the variables before it.
func variables(of string, more ...variable) []variable {
	inCluster := clusterLabel + `=~"$cluster"`
	inNamespace := inCluster + `,` + namespaceLabel + `=~"$namespace"`
	inWorkload := inNamespace + `,` + podLabel + `=~"$workload` + podSuffix + `"`
	inPod := inWorkload + `,` + podLabel + `=~"$pod"`
	workload := choice("workload", "Workload", of+`{`+inNamespace+`,`+podLabel+`!=""}`, podLabel, ".*")
	workload.Regex = "/^(.+?)" + podSuffix + "$/"
	return append([]variable{
		{
			Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus",
			Current: object{"selected": false, "text": "default", "value": "default"},
		},
		choice("cluster", "Cluster", of, clusterLabel, ".*"),
		choice("namespace", "Namespace", of+`{`+inCluster+`}`, namespaceLabel, ".*"),
		workload,
		choice("pod", "Pod", of+`{`+inWorkload+`}`, podLabel, ".*"),
		choice("job", "Service", of+`{`+inPod+`}`, jobLabel, ".+"),
		choice("instance", "Instance", of+`{`+inPod+`,`+jobLabel+`=~"$job"}`, instanceLabel, ".+"),
	}, more...)
}

// choice is a variable with the values that the label has on the series, of which several may be chosen, and all are by default.
func choice(name, label, series, of, all string) variable {
	query := "label_values(" + series + ", " + of + ")"
	return variable{
		Name: name, Label: label, Type: "query", Query: object{"query": query, "refId": "variable"}, Definition: query, Datasource: &source,
		Refresh: 2, Sort: 1, Multi: true, IncludeAll: true, AllValue: all,
		Current: object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}},
	}
}
