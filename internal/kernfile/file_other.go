//go:build !linux

package kernfile

import "syscall"

// onKernelFS returns false: this platform has no kernel file systems.
func onKernelFS(handle) bool { return false }

// pread reads from the current offset, which is the start because the file has just been opened.
func pread(fd handle, to []byte, _ int) (int, error) { return syscall.Read(fd, to) }
