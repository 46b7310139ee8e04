package probe

import (
	"os"

	"golang.org/x/sys/unix"
)

// hold locks f until it is closed, if nobody else holds it.
func hold(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
