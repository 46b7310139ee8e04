package cgroup

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// allowedCPUs is how many CPUs the main thread may run on now. [runtime.NumCPU] is what that was
// when the process started.
func allowedCPUs() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil || set.Count() == 0 {
		return runtime.NumCPU() // a machine of more CPUs than the set has room for, or a sandbox
	}
	return set.Count()
}
