//go:build !linux

package probe

import (
	"errors"
	"os"
)

// checkFilesystem knows no file system in memory here.
func checkFilesystem(string) error { return nil }

// syncData makes f durable, on macOS with F_FULLFSYNC, which reaches the platter.
func syncData(f *os.File) error { return f.Sync() }

// readUncached cannot drop a block from the cache here, and what the cache answers is not the disk.
func readUncached(*os.File, []byte) error { return errors.ErrUnsupported }
