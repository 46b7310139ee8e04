package queue

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData syncs f without metadata that is not needed to read the data back, such as the
// modification time.
func syncData(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}

// verifySync returns an error if the file system has failed, which a successful sync does not rule
// out. After an error, or when the device is gone, ext4 first abandons its journal and later turns
// read-only. In between, a sync that only writes blocks already allocated succeeds, but a change of
// metadata fails immediately. verifySync makes a metadata change that has no effect: it allocates
// the first byte of the file, which the segment's header already occupies.
func verifySync(f *os.File) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 1)
	if err == unix.EIO || err == unix.EROFS {
		return err
	}
	return nil // also if the operation is not supported
}
