package telemetry

import (
	"strings"
	"testing"
)

func TestExplainMismatch(t *testing.T) {
	for name, c := range map[string]struct {
		n, cpus         int
		quota           float64
		limited, pinned bool
		want            string // part of the result
	}{
		"no quota":               {8, 8, 0, false, false, ""},
		"no quota, pinned":       {4, 8, 0, false, true, ""},
		"set by Go":              {3, 8, 2.5, true, false, ""},
		"minimum of two":         {2, 8, 0.5, true, false, ""},
		"one CPU":                {1, 1, 0.5, true, false, ""},
		"quota above CPUs":       {8, 8, 16, true, false, ""},
		"pinned above the quota": {8, 8, 2, true, true, "variable GOMAXPROCS sets it"},
		"pinned below the quota": {1, 8, 4, true, true, "variable GOMAXPROCS sets it"},
		"pinned to the quota":    {2, 8, 2, true, true, ""},
		"lower quota of parent":  {8, 8, 2, true, false, "parent"},
		"set by the program":     {1, 8, 4, true, false, "the program set it, so"},
	} {
		t.Run(name, func(t *testing.T) {
			got := explainMismatch(c.n, c.cpus, c.quota, c.limited, c.pinned)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want it to contain %q", got, c.want)
			}
		})
	}
}
