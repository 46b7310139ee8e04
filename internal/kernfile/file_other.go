//go:build !linux

package kernfile

import "syscall"

// onKernelFS returns false: this platform has no kernel file systems.
func onKernelFS(handle) bool { return false }

// pread ignores the offset and reads from the current position. The two are the same, because a
// file does not stay open between calls to ReadFile on this platform.
func pread(fd handle, to []byte, _ int) (int, error) { return syscall.Read(fd, to) }
