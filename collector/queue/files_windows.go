package queue

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func lock(f *os.File) error {
	err := windows.LockFileEx(
		windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0,
		1,
		0,
		new(windows.Overlapped),
	)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errInUse
	}
	return err
}

// syncDirectory does nothing: NTFS journals directory entries, and Windows cannot flush a
// directory.
func syncDirectory(string) error { return nil }

// deleted returns false: Windows does not delete a file that is open.
func deleted(*os.File) bool { return false }

// isTemporary reports whether err may go away without a change to the configuration.
func isTemporary(err error) bool {
	for _, e := range []error{windows.ERROR_WRITE_PROTECT, windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_IO_DEVICE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
