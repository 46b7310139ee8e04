package main

import (
	"os"
	"testing"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

func TestPageIsCurrent(t *testing.T) {
	got, err := os.ReadFile("../" + page) // this test runs one directory deeper than go generate
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != markdown(catalog.Groups()) {
		t.Error("docs/metrics.md does not match internal/catalog: run make generate")
	}
}

func TestRow(t *testing.T) {
	for name, test := range map[string]struct {
		metric catalog.Metric
		want   string
	}{
		"bare": {
			catalog.Metric{Name: "a.b", Unit: "s", Help: "Time."},
			"| `a.b` | counter | `s` |  | Time. |  |\n",
		},
		"all fields": {
			catalog.Metric{
				Name: "a.b", Kind: catalog.Gauge, Unit: "1", Help: "Share.", Absent: "no quota", Standard: true,
				Attributes: []catalog.Attribute{{Key: "k", Values: []string{"x", "y"}}, {Key: "l", Help: "which"}},
			},
			"| `a.b` † | gauge | `1` | `k` = `x`, `y`<br>`l` (which) | Share. | no quota |\n",
		},
		"a pipe in a cell": {
			catalog.Metric{Name: "a", Unit: "s", Help: "x | y."},
			"| `a` | counter | `s` |  | x \\| y. |  |\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := row(&test.metric); got != test.want {
				t.Errorf("got  %swant %s", got, test.want)
			}
		})
	}
}
