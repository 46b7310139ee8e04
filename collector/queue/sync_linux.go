package queue

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData leaves out what is not needed to read the data again, such as the time of the last
// change.
func syncData(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}

// verifySync returns an error if the file system has failed, so that a sync that succeeded proves
// nothing: ext4 reports success for one that has only blocks to write that it knows, between the
// moment in which it abandons its journal, after an error or when the device is gone, and that in
// which it turns read-only. A change of metadata fails from the first on. This one changes nothing:
// each segment begins with a header.
func verifySync(f *os.File) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 1)
	if err == unix.EIO || err == unix.EROFS {
		return err
	}
	return nil // also where there is no such operation
}
