//go:build !linux

package cgroup

import "runtime"

// allowedCPUs returns the number of CPUs that the Go runtime found when the process started.
func allowedCPUs() int { return runtime.NumCPU() }
