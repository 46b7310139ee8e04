//go:build !linux

package probe

import (
	"errors"
	"os"
)

// syncData makes f durable, on macOS with F_FULLFSYNC, which flushes the drive.
func syncData(f *os.File) error { return f.Sync() }

// readUncached returns an error: a block cannot be dropped from the cache on this system.
func readUncached(*os.File, []byte) error { return errors.ErrUnsupported }
