package cgroup

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// allowedCPUs returns the number of CPUs on which the main thread may currently run. Unlike
// [runtime.NumCPU], which is determined when the process starts, it reflects later changes.
func allowedCPUs() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil || set.Count() == 0 {
		return runtime.NumCPU() // in a sandbox, or on a machine with more CPUs than the set has bits
	}
	return set.Count()
}
