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
