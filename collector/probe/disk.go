package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// blockSize is the size of the block that the disk probe writes and reads: one page, usually the
// smallest unit of a file system.
const blockSize = 4096

// filePrefix is the prefix of the names of all disk probe files, including those of other
// processes.
const filePrefix = ".poolgauge-probe-"

// errMemoryFS means that a directory is in memory and not on a disk.
var errMemoryFS = errors.New("in memory, not on disk")

// diskProbe writes a block to a file, syncs it, drops it from the page cache and reads it back.
type diskProbe struct {
	dir  string
	file *os.File // nil before the first run and after a failed run
}

// CheckDir returns an error if the disk probe cannot work in dir. CheckDir creates a file in dir,
// writes, syncs and reads it once, and removes it. The error names dir and suggests a remedy. If
// the disk hangs, CheckDir does not return.
func CheckDir(dir string) error {
	p := &diskProbe{dir: dir}
	defer p.close()
	return p.run(context.Background()).err
}

func (p *diskProbe) run(context.Context) (r result) {
	start := time.Now()
	if p.file == nil {
		file, err := openProbeFile(p.dir)
		if err != nil {
			r.fail("write", start, errorType(err, otherError), err)
			return r
		}
		p.file = file
	}
	p.probe(&r)
	// Otherwise the block would remain allocated, and the next run could write it even to a full
	// disk.
	if err := p.file.Truncate(0); err != nil && r.err == nil {
		r.err, r.kind = err, errorType(err, otherError)
	}
	if r.err != nil {
		// The next run uses a new file: after a failed sync, the kernel may consider this file's
		// pages clean.
		p.close()
	}
	return r
}

func (p *diskProbe) probe(r *result) {
	block := make([]byte, blockSize)
	for i := 0; i < blockSize; i += 8 { // random data, to defeat compression and deduplication
		binary.NativeEndian.PutUint64(block[i:], rand.Uint64())
	}

	start := time.Now()
	if _, err := p.file.WriteAt(block, 0); err != nil {
		r.fail("write", start, errorType(err, otherError), err)
		return
	}
	r.phase("write", start)

	start = time.Now()
	if err := syncData(p.file); err != nil {
		r.fail("sync", start, errorType(err, otherError), err)
		return
	}
	r.phase("sync", start)

	start = time.Now()
	switch err := readUncached(p.file, block); {
	case err == nil:
		r.phase("read", start)
	case errors.Is(err, errMemoryFS):
		r.points = nil // no disk was involved
		r.fail("read", start, errorType(err, otherError), err)
	case !errors.Is(err, errors.ErrUnsupported):
		r.fail("read", start, errorType(err, otherError), err)
	}
}

// close removes the file.
func (p *diskProbe) close() {
	if p.file == nil {
		return
	}
	_ = p.file.Close()
	_ = os.Remove(p.file.Name())
	p.file = nil
}

// openProbeFile creates a locked file in dir. It also removes files that killed processes left
// behind.
func openProbeFile(dir string) (*os.File, error) {
	removeLeftovers(dir)
	f, err := os.CreateTemp(dir, filePrefix) // with mode 0600
	if err != nil {
		return nil, fmt.Errorf(
			"probe directory %s: %w: expected an existing directory that is writable and has free space",
			dir,
			errors.Unwrap(err),
		)
	}
	lockFile(f)
	return f, nil
}

// removeLeftovers removes the probe files in dir that no process has locked.
func removeLeftovers(dir string) {
	entries, _ := os.ReadDir(dir) // if this fails, creating a file will fail for the same reason
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), filePrefix) {
			continue
		}
		name := filepath.Join(dir, e.Name())
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if lockFile(f) {
			_ = os.Remove(name)
		}
		_ = f.Close()
	}
}
