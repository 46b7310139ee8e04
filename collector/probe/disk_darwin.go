package probe

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile locks f until it is closed, and reports whether it succeeded.
func lockFile(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
