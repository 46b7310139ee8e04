//go:build !windows

package kernfile

// handle is an open file in system calls.
type handle = int
