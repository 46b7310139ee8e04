//go:build !windows

package kernfile

// handle is what the system calls know an open file by.
type handle = int
