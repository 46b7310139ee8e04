package queue

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData leaves out what is not needed to read the data again, such as the time of the last
// change.
//
// ext4 turns a file system read-only when it finds an error, and from then on reports success for
// a sync that it does not do. So a sync counts only if the file system is not read-only after it.
func syncData(f *os.File) error {
	err := unix.Fdatasync(int(f.Fd()))
	for err == unix.EINTR {
		err = unix.Fdatasync(int(f.Fd()))
	}
	if err == nil && readOnly(f) {
		return unix.EROFS
	}
	return err
}

// readOnly reports whether the file system of f is read-only; false if that is unknown.
func readOnly(f *os.File) bool {
	var info unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &info) == nil && info.Flags&unix.ST_RDONLY != 0
}
