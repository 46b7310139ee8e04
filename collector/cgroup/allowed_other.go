//go:build !linux

package cgroup

import "runtime"

// allowedCPUs is what the Go runtime found when the process started.
func allowedCPUs() int { return runtime.NumCPU() }
