package telemetry

import (
	"strings"
	"testing"
)

func TestProcessorsThatDoNotMatchTheQuota(t *testing.T) {
	for name, c := range map[string]struct {
		n, cpus         int
		quota           float64
		limited, pinned bool
		want            string // part of the result
	}{
		"no quota":              {8, 8, 0, false, false, ""},
		"no quota, pinned":      {4, 8, 0, false, true, ""},
		"as Go sets it":         {3, 8, 2.5, true, false, ""},
		"at least two":          {2, 8, 0.5, true, false, ""},
		"one CPU":               {1, 1, 0.5, true, false, ""},
		"more quota than CPUs":  {8, 8, 16, true, false, ""},
		"pinned above":          {8, 8, 2, true, true, "variable GOMAXPROCS sets it"},
		"pinned below":          {1, 8, 4, true, true, "variable GOMAXPROCS sets it"},
		"pinned, as it happens": {2, 8, 2, true, true, ""},
		"a tighter ancestor":    {8, 8, 2, true, false, "parent"},
		"set by the program":    {1, 8, 4, true, false, "the program set it, so"},
	} {
		t.Run(name, func(t *testing.T) {
			got := processors(c.n, c.cpus, c.quota, c.limited, c.pinned)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
}
