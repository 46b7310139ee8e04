package kernfile

import (
	"errors"
	"io/fs"
	"runtime"
	"sync/atomic"
	"syscall"
)

// File is a file that is read again and again. If the kernel regenerates its content at every
// reading from the start, the descriptor stays open: opening costs more than most readings. It is
// closed when the file cannot be read any more, because its process or group is gone, and when the
// File is garbage. The zero File has no path and must not be read. Not safe for concurrent use.
type File struct {
	Path string
	// Pieces says that one reading may end before the file does: the kernel makes it record by
	// record, as vmstat and mountinfo. Most files come whole, and then the reading that would find
	// the end is spared.
	Pieces bool
	// Rare says that the file may well not exist, and will hardly come to be: then it is looked for
	// every so often only.
	Rare bool

	kept  *descriptor
	never bool // of a file system whose files may be replaced while they are open
	gone  bool // what was open could not be read any more
	skip  int  // readings until a rare file is looked for again
	again int  // how often the file was opened after one that could not be read any more
}

// NewFile returns the file at a path. Nothing is opened yet.
func NewFile(path string) File { return File{Path: path} }

// Reopened tells how often another file has taken the place of one that was gone: a group that was
// made again.
func (f *File) Reopened() int { return f.again }

// maxKept bounds the descriptors that stay open: a process may have 1,024 on most systems. Beyond,
// files are opened each time.
const maxKept = 384

// rareSkip is how many readings of a rare file that does not exist say so without a look.
const rareSkip = 15

var keptNow atomic.Int64

type descriptor struct{ fd handle }

// keep takes fd into the custody of the File if that may be, and reports whether it did.
func (f *File) keep(fd handle) bool {
	if f.never || keptNow.Load() >= maxKept {
		return false
	}
	if f.never = !ofKernel(fd); f.never {
		return false
	}
	keptNow.Add(1)
	f.kept = &descriptor{fd}
	runtime.AddCleanup(f.kept, release, fd)
	return true
}

func release(fd handle) {
	keptNow.Add(-1)
	_ = syscall.Close(fd) // opened for reading: nothing can be lost
}

// drop forgets the descriptor; the collector of garbage closes it.
func (f *File) drop() { f.kept = nil }

// ReadFile returns the content of a file, valid until the next call. An error names the file.
func (r *Reader) ReadFile(f *File) ([]byte, error) {
	if f.skip > 0 {
		f.skip--
		return nil, &fs.PathError{Op: "open", Path: f.Path, Err: fs.ErrNotExist}
	}
	if f.kept != nil {
		data, err := r.content(f.Path, f.kept.fd, pread, !f.Pieces)
		runtime.KeepAlive(f.kept)
		if err == nil {
			return data, nil
		}
		f.drop() // another group may have the path by now, or later
		f.gone = true
	}
	fd, err := open(f.Path)
	if err != nil {
		if f.Rare && errors.Is(err, fs.ErrNotExist) {
			f.skip = rareSkip
		}
		return nil, err
	}
	if f.gone {
		f.gone = false
		f.again++
	}
	kept := f.keep(fd)
	if !kept {
		defer func() { _ = syscall.Close(fd) }() // opened for reading: nothing can be lost
	}
	data, err := r.content(f.Path, fd, pread, kept && !f.Pieces)
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
