package probe

import (
	"os"
	"testing"
	"time"
)

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestCPUProbesLeaveNoFilesOpen(t *testing.T) {
	needThreadClock(t)
	var used time.Duration
	disturbed := &cpuProbe{read: func() reading {
		used += time.Millisecond
		return reading{time.Time{}.Add(used), used, int64(used)}
	}}
	probes := map[string]prober{
		"cpu":           &cpuProbe{read: readClocks},
		"cpu disturbed": disturbed,
		"parallelism":   &parallelismProbe{cpus: func() int { return 2 }},
	}
	for name, p := range probes {
		p.run(t.Context()) // opens what stays open, such as the poller
		before := openFiles(t)
		for range 5 {
			p.run(t.Context())
		}
		if after := openFiles(t); after != before {
			t.Errorf("%s: %d files are open after five more runs, want %d", name, after, before)
		}
	}
}
