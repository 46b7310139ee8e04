package diagnose

import (
	"iter"
	"slices"
	"testing"
)

// The constants are indexes into lists of names in the metric table, so inserting a name would
// rename all verdicts after it.
func TestVerdictsHaveTheirNames(t *testing.T) {
	check(t, Verdicts, map[Verdict]string{
		Undetermined:   "undetermined",
		OK:             "ok",
		TooSmall:       "too_small",
		Oversized:      "oversized",
		CPUSaturated:   "cpu_saturated",
		Starved:        "starved",
		LockContention: "lock_contention",
		DownstreamSlow: "downstream_slow",
		Leaking:        "leaking",
		HeadOfLine:     "head_of_line",
		Failing:        "failing",
	})
	check(t, HostVerdicts, map[HostVerdict]string{
		HostUndetermined: "undetermined",
		HostOK:           "ok",
		Throttled:        "throttled",
		MemoryPressure:   "memory_pressure",
		Steal:            "steal",
		NoisyNeighbor:    "noisy_neighbor",
		DiskSlow:         "disk_slow",
	})
}

func check[V interface {
	verdict
	String() string
}](t *testing.T, verdicts func() iter.Seq[V], names map[V]string) {
	t.Helper()
	all := slices.Collect(verdicts())
	if len(all) != len(names) {
		t.Errorf("%d verdicts have names, want %d", len(all), len(names))
	}
	for _, v := range all {
		if v.String() != names[v] {
			t.Errorf("verdict %d is named %q, want %q", v, v, names[v])
		}
	}
}
