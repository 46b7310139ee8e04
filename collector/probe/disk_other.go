//go:build !linux

package probe

import (
	"errors"
	"os"
)

// syncData makes f durable. On macOS it uses F_FULLFSYNC, which flushes the drive.
func syncData(f *os.File) error { return f.Sync() }

// readUncached returns an error: a block cannot be dropped from the page cache on this system.
func readUncached(*os.File, []byte) error { return errors.ErrUnsupported }
