package cgroup

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// allowedCPUs returns how many CPUs the main thread may currently run on. [runtime.NumCPU] returns
// the number at the start of the process.
func allowedCPUs() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil || set.Count() == 0 {
		return runtime.NumCPU() // a sandbox, or a machine with more CPUs than the set has bits
	}
	return set.Count()
}
