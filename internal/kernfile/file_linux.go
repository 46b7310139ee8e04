package kernfile

import "syscall"

// The magic numbers of the file systems through which the kernel exposes its state (linux/magic.h).
const (
	procMagic    = 0x9fa0
	cgroupMagic  = 0x27e0eb
	cgroup2Magic = 0x63677270
)

// onKernelFS reports whether fd is a file whose content the kernel generates at each read. It
// returns false for lxcfs, which runs in user space and may be restarted.
func onKernelFS(fd handle) bool {
	var fs syscall.Statfs_t
	if err := syscall.Fstatfs(fd, &fs); err != nil {
		return false
	}
	switch uint32(fs.Type) { //nolint:gosec // magic numbers are 32-bit on every architecture
	case procMagic, cgroupMagic, cgroup2Magic:
		return true
	}
	return false
}

func pread(fd handle, to []byte, at int) (int, error) { return syscall.Pread(fd, to, int64(at)) }
