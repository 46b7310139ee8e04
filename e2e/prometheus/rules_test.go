package prometheus

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPrometheusRuleIsUpToDate(t *testing.T) {
	var rules, resource struct {
		Groups any
		Spec   struct{ Groups any }
	}
	for file, into := range map[string]any{"rules.yaml": &rules, "prometheusrule.yaml": &resource} {
		if err := yaml.Unmarshal([]byte(read(t, deploy+"/prometheus/"+file)), into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	if rules.Groups == nil || !reflect.DeepEqual(rules.Groups, resource.Spec.Groups) {
		t.Error("prometheusrule.yaml does not have the groups of rules.yaml: run make generate")
	}
}

// Every alert has a runbook that says what it means, how to check and what to do, and every runbook
// has an alert.
func TestEveryAlertHasARunbook(t *testing.T) {
	sections := map[string]string{}
	for _, section := range strings.Split(read(t, "../../docs/runbooks.md"), "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		sections[name] = text
	}
	known := map[string]bool{}
	for _, a := range alertingRules(t) {
		known[a.Name()] = true
		for _, part := range []string{"**Means**", "**Check**", "**Do**"} {
			if !strings.Contains(sections[a.Name()], part) {
				t.Errorf("docs/runbooks.md: section %s has no %s", a.Name(), part)
			}
		}
		want := "https://github.com/poolgauge/poolgauge/blob/main/docs/runbooks.md#" + strings.ToLower(a.Name())
		if got := a.Annotations().Get("runbook_url"); got != want {
			t.Errorf("%s: runbook_url is %s, want %s", a.Name(), got, want)
		}
	}
	for name := range sections {
		if !known[name] {
			t.Errorf("docs/runbooks.md: there is no alert %s", name)
		}
	}
}

// Every metric, label and value in a rule exists in the table, in a recording rule or in
// kube-state-metrics.
func TestRulesReferToKnownMetrics(t *testing.T) {
	table := tableLabels()
	groups, err := startEngine(t).Rules(t.Context(), deploy+"/prometheus/rules.yaml", interval)
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]bool{}
	for _, g := range groups {
		for _, r := range g.Rules() {
			records[r.Name()] = true
		}
	}
	for _, g := range groups {
		for _, r := range g.Rules() {
			parser.Inspect(r.Query(), func(n parser.Node, _ []parser.Node) error {
				if v, ok := n.(*parser.VectorSelector); ok && !records[v.Name] && v.Name != "kube_pod_status_phase" {
					checkMatchers(t, r.Name(), v, table)
				}
				return nil
			})
		}
	}
}

func checkMatchers(t *testing.T, rule string, v *parser.VectorSelector, table map[string]map[string][]string) {
	t.Helper()
	name := strings.TrimSuffix(strings.TrimSuffix(v.Name, "_bucket"), "_sum")
	if table[name] == nil {
		t.Errorf("rule %s: %s is not in the table of metrics", rule, v.Name)
		return
	}
	for _, m := range v.LabelMatchers {
		values, ok := table[name][m.Name]
		if m.Name == model.MetricNameLabel {
			continue
		}
		if !ok {
			t.Errorf("rule %s: %s has no label %s", rule, v.Name, m.Name)
		}
		for one := range strings.SplitSeq(m.Value, "|") {
			if len(values) > 0 && !slices.Contains(values, one) {
				t.Errorf("rule %s: label %s of %s is never %q", rule, m.Name, v.Name, one)
			}
		}
	}
}

// tableLabels returns the possible values of each label of each metric. A label without values may
// have any value.
func tableLabels() map[string]map[string][]string {
	all := map[string]map[string][]string{}
	rows(func(g *catalog.Group, m *catalog.Metric) {
		labels := map[string][]string{}
		for _, a := range append(append([]catalog.Attribute(nil), g.Attributes...), m.Attributes...) {
			labels[promql.Label(a.Key)] = a.Values
		}
		all[promql.Name(m)] = labels
	})
	return all
}
