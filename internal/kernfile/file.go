package kernfile

import (
	"errors"
	"io/fs"
	"runtime"
	"sync/atomic"
	"syscall"
)

// File is a file that is read repeatedly. Kernel file systems generate a file's content whenever it
// is read from the start, so a file in one of them stays open between reads: opening costs more
// than most reads. It is closed when it can no longer be read because its process or cgroup is
// gone, and when the File is garbage-collected. The zero File has no path and must not be read. A
// File is not safe for concurrent use.
type File struct {
	Path string
	// Chunked means that one read may return less than the whole file, because the kernel generates
	// the file record by record, as for vmstat and mountinfo. Other files are read without the
	// additional read that detects the end.
	Chunked bool
	// Rare means that the file is probably missing and unlikely to be created. After an attempt
	// that did not find the file, the next rareSkip reads return the same error without trying to
	// open it.
	Rare bool

	kept        *descriptor
	replaceable bool // the file may be replaced while it is open
	lost        bool // the open file can no longer be read
	skip        int  // number of reads to skip before the next attempt to open a rare file
	reopened    int  // how often the file was opened again after it was lost
}

// NewFile returns a File for path. It does not open the file.
func NewFile(path string) File { return File{Path: path} }

// Reopened returns how many times the file was removed and created again, for example together with
// its cgroup.
func (f *File) Reopened() int { return f.reopened }

// maxKept is the maximum number of descriptors that stay open; most systems allow a process 1,024.
// Files beyond maxKept are opened for each read.
const maxKept = 384

// rareSkip is the number of reads to skip after a rare file is not found.
const rareSkip = 15

var keptNow atomic.Int64

type descriptor struct {
	fd handle
	// The pointer keeps the runtime from combining the descriptor with other tiny objects, together
	// with which it would be collected.
	_ *byte
}

// keep stores fd in f for later reads if fd may stay open. It reports whether it stored fd.
func (f *File) keep(fd handle) bool {
	if f.replaceable || keptNow.Load() >= maxKept {
		return false
	}
	if f.replaceable = !onKernelFS(fd); f.replaceable {
		return false
	}
	keptNow.Add(1)
	f.kept = &descriptor{fd: fd}
	runtime.AddCleanup(f.kept, release, fd)
	return true
}

func release(fd handle) {
	keptNow.Add(-1)
	_ = syscall.Close(fd) // read only: no data can be lost
}

// drop releases f's descriptor, which is closed when it is garbage-collected.
func (f *File) drop() { f.kept = nil }

// ReadFile returns the content of f, which is valid until the next call. Errors contain the path.
func (r *Reader) ReadFile(f *File) ([]byte, error) {
	if f.skip > 0 {
		f.skip--
		return nil, &fs.PathError{Op: "open", Path: f.Path, Err: fs.ErrNotExist}
	}
	if f.kept != nil {
		data, err := r.content(f.Path, f.kept.fd, pread, !f.Chunked)
		runtime.KeepAlive(f.kept)
		if err == nil {
			return data, nil
		}
		f.drop() // a new cgroup may have the same path, now or later
		f.lost = true
	}
	fd, err := open(f.Path)
	if err != nil {
		if f.Rare && errors.Is(err, fs.ErrNotExist) {
			f.skip = rareSkip
		}
		return nil, err
	}
	if f.lost {
		f.lost = false
		f.reopened++
	}
	kept := f.keep(fd)
	if !kept {
		defer func() { _ = syscall.Close(fd) }() // read only: no data can be lost
	}
	data, err := r.content(f.Path, fd, pread, kept && !f.Chunked)
	if err != nil {
		f.drop()
	}
	return data, err
}

func open(path string) (fd handle, err error) {
	for {
		fd, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return fd, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}
