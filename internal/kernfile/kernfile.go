// Package kernfile reads the small text files through which Linux shows its state: /proc and
// control groups.
//
// They are read whole, into a buffer that is used again. A [File] that is read again and again
// stays open, where it may. The package needs nothing but the standard library, and compiles
// everywhere so that its parsers can be tested everywhere.
package kernfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"syscall"
)

// Optional is a value that may not be there: a file or a line that this kernel lacks, or a limit
// that is not set. The zero Optional is absent.
type Optional[T any] struct {
	Value   T
	Defined bool
}

// Some returns a defined value.
func Some[T any](v T) Optional[T] { return Optional[T]{Value: v, Defined: true} }

// Get returns the value and whether it is defined.
func (o Optional[T]) Get() (T, bool) { return o.Value, o.Defined }

// maxSize bounds what a file may make us allocate. The largest of real use, mountinfo on a busy
// node, is well below 1 MiB.
const maxSize = 8 << 20

// Reader reads files into one buffer, which grows to the size of the largest. The zero Reader is
// ready; it is not safe for concurrent use.
type Reader struct {
	buf []byte
}

// Read returns the content of a file, valid until the next call. An error names the file.
//
// It uses the bare system calls: os.Open would register the descriptor with the runtime's poller,
// which costs more than the reading.
func (r *Reader) Read(path string) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = syscall.Close(fd) }() // opened for reading: nothing can be lost
	return r.content(path, fd, func(fd handle, to []byte, _ int) (int, error) { return syscall.Read(fd, to) }, false)
}

// content reads from the start to the end, by a function that reads from a place in the file. Where
// the file comes whole, a reading that leaves room was the last.
func (r *Reader) content(
	path string, fd handle, read func(fd handle, to []byte, at int) (int, error), whole bool,
) ([]byte, error) {
	if r.buf == nil {
		r.buf = make([]byte, 4096)
	}
	n := 0
	for {
		got, err := read(fd, r.buf[n:], n)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if got <= 0 {
			return r.buf[:n], nil
		}
		if n += got; n < len(r.buf) {
			if whole {
				return r.buf[:n], nil
			}
			continue
		}
		if n >= maxSize {
			return nil, fmt.Errorf("%s: larger than %d bytes", path, maxSize)
		}
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
}

// Number reads a file that holds one whole number, or "max" for no limit, which is undefined here.
func (r *Reader) Number(f *File) (Optional[int64], error) {
	b, err := r.ReadFile(f)
	if err != nil {
		return Optional[int64]{}, err
	}
	b = bytes.TrimSpace(b)
	if string(b) == "max" {
		return Optional[int64]{}, nil
	}
	v, err := ParseInt(b)
	if err != nil {
		return Optional[int64]{}, fmt.Errorf("%s: %w", f.Path, err)
	}
	return Some(v), nil
}

// Absent tells an error that says that there is nothing to read, now or on this kernel, from one
// that must be reported: the file does not exist, its control group or process is gone, or the
// feature behind it is off.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ESRCH) ||
		errors.Is(err, syscall.EOPNOTSUPP)
}

// ParseInt parses a whole number that is not negative. Numbers above the range of int64, which the
// kernel's unsigned counters and its "no limit" may be, come out as [math.MaxInt64].
func ParseInt(b []byte) (int64, error) {
	v, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", clip(b))
	}
	return int64(min(v, math.MaxInt64)), nil
}

// Key is a line "name number" of a table such as memory.stat, and where its number goes. Of a
// number of kB, as in meminfo, the bytes go there.
type Key struct {
	Name string
	To   *Optional[int64]
}

// Table sets the keys that a table has and leaves the others as they are. A malformed number costs
// its own key and is reported to fail by name; lines of other keys are not looked at.
func Table(data []byte, fail func(error), keys ...Key) {
	for line := range bytes.Lines(data) {
		name, number := word(line)
		for _, k := range keys {
			if string(name) != k.Name {
				continue
			}
			if v, err := amount(bytes.TrimSpace(number)); err == nil {
				*k.To = Some(v)
			} else {
				fail(fmt.Errorf("%s: %w", k.Name, err))
			}
			break
		}
	}
}

// amount parses a number, or one of kB, of which there are bytes.
func amount(b []byte) (int64, error) {
	kib, scaled := bytes.CutSuffix(b, []byte(" kB"))
	v, err := ParseInt(kib)
	switch {
	case err != nil || !scaled:
		return v, err
	case v > math.MaxInt64>>10:
		return 0, fmt.Errorf("%q is too much", clip(b))
	}
	return v << 10, nil
}

// word cuts off the first word of a line.
func word(line []byte) (first, rest []byte) {
	line = bytes.TrimSpace(line)
	end := bytes.IndexAny(line, " \t")
	if end < 0 {
		return line, nil
	}
	return line[:end], line[end+1:]
}

// clip shortens what an error quotes of a file.
func clip(b []byte) []byte { return b[:min(len(b), 40)] }
