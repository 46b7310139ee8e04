//go:build !windows

package kernfile

// handle is an open file, as system calls represent it.
type handle = int
