//go:build !windows

package kernfile

// handle is the platform's type of file descriptor.
type handle = int
