//go:build !linux

package probe

import (
	"errors"
	"os"
)

// syncData makes f durable, on macOS with F_FULLFSYNC, which reaches the platter.
func syncData(f *os.File) error { return f.Sync() }

// readUncached cannot drop a block from the cache here, and what the cache answers is not the disk.
func readUncached(*os.File, []byte) error { return errors.ErrUnsupported }
