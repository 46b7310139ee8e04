//go:build !windows

package kernfile

// handle is the system's descriptor of an open file.
type handle = int
