package ownfigures

import (
	"math"
	"runtime"
	"testing"
	"time"
)

// Each figure that this system has is there, and counts on.
func TestFiguresCountOn(t *testing.T) {
	before := Read(time.Now())
	for begin := before.BusyTime; Read(time.Now()).BusyTime < begin+0.02; {
	}
	after := Read(time.Now())
	if after.CPUs != float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("%v CPUs, want %d", after.CPUs, runtime.GOMAXPROCS(0))
	}
	if runtime.GOOS == "linux" && after.QueueTime < before.QueueTime {
		t.Errorf("threads waited %v s for a CPU, and %v s before", after.QueueTime, before.QueueTime)
	}
	if after.LockTime < before.LockTime || math.IsNaN(after.LockTime) || math.IsNaN(after.Runnable) {
		t.Errorf("locks %v s, %v goroutines runnable", after.LockTime, after.Runnable)
	}
	if !math.IsNaN(after.Periods) || !math.IsNaN(after.Writes) {
		t.Error("what a process does not know is there")
	}
}
