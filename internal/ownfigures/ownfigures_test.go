package ownfigures

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/throttle"
)

// Every value that this system supports is measured, and cumulative values never decrease.
func TestMeasurementsIncrease(t *testing.T) {
	before := Read(time.Now())
	for begin := before.BusyTime; Read(time.Now()).BusyTime < begin+0.02; {
	}
	after := Read(time.Now())
	if !(after.CPUs > 0) || after.CPUs > float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("got %v CPUs, want at most %d", after.CPUs, runtime.GOMAXPROCS(0))
	}
	if runtime.GOOS == "linux" && after.QueueTime < before.QueueTime {
		t.Errorf("threads' wait for a CPU is %v s, and was %v s before", after.QueueTime, before.QueueTime)
	}
	if after.LockTime < before.LockTime || math.IsNaN(after.LockTime) || math.IsNaN(after.Runnable) {
		t.Errorf(
			"goroutines waited %v s for locks, and %v s before; %v are runnable",
			after.LockTime, before.LockTime, after.Runnable,
		)
	}
	if !math.IsNaN(after.Writes) || !math.IsNaN(after.Stretch) {
		t.Errorf("got Writes %v and Stretch %v, which only the sidecar measures; want NaN", after.Writes, after.Stretch)
	}
}

// If two cgroups have a quota, the cgroup that was throttled longest counts, and CPUs is the
// smaller quota.
func TestQuotasOfNestedCgroups(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("self", "0::/a/b\n")
	write("a/cpu.max", "20000 100000\n")
	write("a/b/cpu.max", "50000 100000\n")
	var q quota
	read := func(outer, inner string) diagnose.HostFigures {
		t.Helper()
		write("a/cpu.stat", outer)
		write("a/b/cpu.stat", inner)
		f := diagnose.UnknownHost(time.Now())
		f.CPUs = 4
		q.add(throttle.ReadAt(filepath.Join(dir, "self"), dir), &f)
		return f
	}
	zero := "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n"
	first := read(zero, zero)
	if first.CPUs != 0.2 || first.Periods != 0 || first.Throttled != 0 {
		t.Errorf("first reading: got %+v, want 0.2 CPUs and no periods", first)
	}
	read("nr_periods 10\nnr_throttled 5\nthrottled_usec 900\n", "nr_periods 7\nnr_throttled 1\nthrottled_usec 10\n")
	last := read(
		"nr_periods 20\nnr_throttled 5\nthrottled_usec 900\n",
		"nr_periods 11\nnr_throttled 3\nthrottled_usec 90\n",
	)
	if last.Periods != 10+4 || last.Throttled != 5+2 {
		t.Errorf("%v of %v periods were throttled, want 7 of 14", last.Throttled, last.Periods)
	}
	f := diagnose.UnknownHost(time.Now())
	q.add(nil, &f)
	if !math.IsNaN(f.CPUs) || !math.IsNaN(f.Periods) {
		t.Errorf("without a quota: got %+v, want CPUs and Periods NaN", f)
	}
}
