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

// blockSize is what the disk probe writes and reads: a page, the least that a file system moves.
const blockSize = 4096

// filePrefix begins the names of the files of disk probes, whichever process they belong to.
const filePrefix = ".poolgauge-probe-"

// errMemory is the cause when a directory is no disk.
var errMemory = errors.New("memory, not a disk")

// diskProbe writes a block to a file of its own, makes it durable, drops it from the page cache and
// reads it back.
type diskProbe struct {
	dir  string
	file *os.File // nil before the first run and after one that failed
}

// CheckDir reports whether dir can be probed: it makes a file there, writes, syncs and reads it
// once, and removes it. The error names dir and what to do. It takes as long as the disk does, so
// it can hang where that does.
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
	// Held between the runs, the block would be there to be written again on a disk that is full.
	if err := p.file.Truncate(0); err != nil && r.err == nil {
		r.err, r.kind = err, errorType(err, otherError)
	}
	if r.err != nil {
		// A new file next time: after a failed sync the kernel may take the pages of the old one
		// for clean.
		p.close()
	}
	return r
}

func (p *diskProbe) probe(r *result) {
	block := make([]byte, blockSize)
	for i := 0; i < blockSize; i += 8 { // random, so that compression and deduplication do not help
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
	case errors.Is(err, errMemory):
		r.points = nil // no disk took part
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

// openProbeFile makes a file in dir that is held by a lock, and removes those of processes that
// were killed.
func openProbeFile(dir string) (*os.File, error) {
	removeLeftovers(dir)
	f, err := os.CreateTemp(dir, filePrefix) // with mode 0600
	if err != nil {
		return nil, fmt.Errorf(
			"probe directory %s: %w: give one that exists and that the sidecar may write to",
			dir,
			errors.Unwrap(err),
		)
	}
	hold(f)
	return f, nil
}

// removeLeftovers removes probe files that nobody holds.
func removeLeftovers(dir string) {
	entries, _ := os.ReadDir(dir) // if it fails, so will making a file, and say why
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), filePrefix) {
			continue
		}
		name := filepath.Join(dir, e.Name())
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if hold(f) {
			_ = os.Remove(name)
		}
		_ = f.Close()
	}
}
