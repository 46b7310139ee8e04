package prometheus

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
)

const deploy = "../../deploy"

// dashboard has the fields of a dashboard that the tests read.
type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Editable      bool
	Tags          []string
	Links         []struct{ URL string }
	Templating    struct{ List []variable }
	Panels        []panel
}

type variable struct {
	Name, Label, Type, AllValue, Definition string
	Refresh                                 int
	Multi, IncludeAll                       bool
}

type panel struct {
	Type, Title, Description string
	GridPos                  struct{ W, H, X, Y int }
	Datasource               struct{ UID string }
	Targets                  []struct {
		Expr, Format, LegendFormat string
		Instant                    bool
		Datasource                 struct{ UID string }
	}
	FieldConfig struct {
		Defaults struct {
			Unit, NoValue string
			Thresholds    struct{ Steps []any }
		}
	}
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(deploy + "/grafana/*.json")
	if err != nil || len(files) != 3 {
		t.Fatalf("found the dashboards %v (%v), want 3", files, err)
	}
	all := map[string]dashboard{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all[filepath.Base(f)] = d
	}
	return all
}

// interpolate replaces the variables as Grafana does, with All chosen for each.
func interpolate(d dashboard, expr, rateInterval string) string {
	expr = strings.ReplaceAll(expr, "$__rate_interval", rateInterval)
	for _, v := range d.Templating.List {
		expr = strings.ReplaceAll(expr, "$"+v.Name, v.AllValue)
	}
	return expr
}

func TestDashboardRules(t *testing.T) {
	for name, d := range dashboards(t) {
		t.Run(name, func(t *testing.T) {
			if d.Editable || d.SchemaVersion < 36 || d.UID == "" || !slices.Contains(d.Tags, "poolgauge") ||
				len(d.Links) != 2 {
				t.Errorf(
					"editable %v, schema %d, uid %q, tags %v, %d links",
					d.Editable,
					d.SchemaVersion,
					d.UID,
					d.Tags,
					len(d.Links),
				)
			}
			checkVariables(t, d)
			for _, p := range d.Panels {
				if p.Type != "row" {
					checkPanel(t, d, p)
				}
			}
		})
	}
}

func checkVariables(t *testing.T, d dashboard) {
	t.Helper()
	want := []string{"datasource", "cluster", "namespace", "workload", "pod", "job", "instance"}
	if d.UID == "poolgauge-pools" {
		want = append(want, "pool")
	}
	var got []string
	for _, v := range d.Templating.List {
		got = append(got, v.Name)
		if v.Label == "" {
			t.Errorf("variable %s has no label", v.Name)
		}
		if v.Type == "query" && (!v.Multi || !v.IncludeAll || v.AllValue != ".*" || v.Refresh != 2) {
			t.Errorf(
				"variable %s: want multi, with All (.*, which also matches series without the label), and refreshed with the time range",
				v.Name,
			)
		}
		if v.Type == "query" {
			if _, err := engine.Parser().ParseExpr(interpolate(d, selection(v), "1m")); err != nil {
				t.Errorf("variable %s: %v", v.Name, err)
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("variables %v, want %v", got, want)
	}
}

// selection returns the selector in the label_values query of a variable.
func selection(v variable) string {
	s := strings.TrimSuffix(strings.TrimPrefix(v.Definition, "label_values("), ")")
	return s[:strings.LastIndex(s, ", ")]
}

func checkPanel(t *testing.T, d dashboard, p panel) {
	t.Helper()
	if p.Description == "" || p.FieldConfig.Defaults.Unit == "" && p.Type != "table" ||
		len(p.FieldConfig.Defaults.Thresholds.Steps) == 0 {
		t.Errorf("panel %q lacks a description, a unit or thresholds", p.Title)
	}
	if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
		t.Errorf("panel %q: data source %q, %d queries", p.Title, p.Datasource.UID, len(p.Targets))
	}
	for _, target := range p.Targets {
		if target.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q: a query has the data source %q", p.Title, target.Datasource.UID)
		}
		expr, err := engine.Parser().ParseExpr(interpolate(d, target.Expr, "4m"))
		if err != nil {
			t.Errorf("panel %q: %v in %s", p.Title, err, target.Expr)
			continue
		}
		if strings.Count(
			target.Expr,
			"])",
		) != strings.Count(
			target.Expr,
			"[$__rate_interval])",
		)+strings.Count(
			target.Expr,
			"[2m])",
		) {
			t.Errorf("panel %q: a range is neither $__rate_interval nor 2m: %s", p.Title, target.Expr)
		}
		parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
			if v, ok := n.(*parser.VectorSelector); ok {
				checkSelector(t, p, v, path)
			}
			return nil
		})
	}
}

// checkSelector checks that a query selects every series by job and instance, and that a counter is
// inside a rate.
func checkSelector(t *testing.T, p panel, v *parser.VectorSelector, path []parser.Node) {
	t.Helper()
	for _, name := range []string{"job", "instance"} {
		if !slices.ContainsFunc(v.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == name }) {
			t.Errorf("panel %q: %s is not selected by %s", p.Title, v.Name, name)
		}
	}
	if _, ok := path[len(path)-1].(*parser.MatrixSelector); !ok {
		t.Errorf("panel %q: %s has no range, so it includes processes that have exited", p.Title, v.Name)
	}
	inRate := slices.ContainsFunc(path, func(n parser.Node) bool {
		c, ok := n.(*parser.Call)
		return ok && (c.Func.Name == "rate" || c.Func.Name == "increase")
	})
	if strings.HasSuffix(v.Name, "_total") && !inRate {
		t.Errorf("panel %q: counter %s is not in a rate", p.Title, v.Name)
	}
}
