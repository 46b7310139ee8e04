// Package kernfile reads the small text files through which Linux exposes its state, in /proc and
// in cgroups.
//
// It reads whole files into a reused buffer. A [File], which is read repeatedly, stays open if
// possible. The package compiles on every platform, so that its parsers can be tested everywhere.
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

// Optional is a value that may be undefined, for example because the kernel lacks a file or a line,
// or because a limit is not set. The zero Optional is undefined.
type Optional[T any] struct {
	Value   T
	Defined bool
}

// Some returns a defined value.
func Some[T any](v T) Optional[T] { return Optional[T]{Value: v, Defined: true} }

// Get returns the value and whether it is defined.
func (o Optional[T]) Get() (T, bool) { return o.Value, o.Defined }

// maxSize bounds the size of a file. The largest file in practice, mountinfo on a busy node, is
// well below 1 MiB.
const maxSize = 8 << 20

// Reader reads files into one buffer, which grows to the size of the largest file. The zero Reader
// is ready to use. A Reader is not safe for concurrent use.
type Reader struct {
	buf []byte
}

// Read returns the content of the file at path, which is valid until the next call. Errors contain
// the path.
//
// Read uses system calls directly: os.Open would register the descriptor with the runtime's poller,
// which costs more than the read.
func (r *Reader) Read(path string) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = syscall.Close(fd) }() // read only: no data can be lost
	return r.content(path, fd, func(fd handle, to []byte, _ int) (int, error) { return syscall.Read(fd, to) }, false)
}

// content reads a file from start to end. If whole is true, it treats a short read as the end
// of the file.
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

// Number reads f, which contains one integer or "max". For "max", which means no limit, the result
// is undefined.
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

// Absent reports whether err means that there is nothing to read: the file does not exist, its
// cgroup or process is gone, or the kernel feature is disabled. Other errors should be reported.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ESRCH) ||
		errors.Is(err, syscall.EOPNOTSUPP)
}

// ParseInt parses a non-negative integer. Numbers above the range of int64, such as some unsigned
// counters and "no limit" values of the kernel, are returned as [math.MaxInt64].
func ParseInt(b []byte) (int64, error) {
	v, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", clip(b))
	}
	return int64(min(v, math.MaxInt64)), nil
}

// Key selects the line "Name number" of a table such as memory.stat. Table stores the number in To.
// If the number is followed by kB, as in meminfo, Table converts it to bytes.
type Key struct {
	Name string
	To   *Optional[int64]
}

// Table stores the number of each key in keys that occurs in data. For a malformed number, it calls
// fail with an error that contains the key's name. It leaves To unchanged for keys that are missing
// or malformed, and ignores other lines.
func Table(data []byte, fail func(error), keys ...Key) {
	for line := range bytes.Lines(data) {
		name, number := cutWord(line)
		for _, k := range keys {
			if string(name) != k.Name {
				continue
			}
			if v, err := parseAmount(bytes.TrimSpace(number)); err == nil {
				*k.To = Some(v)
			} else {
				fail(fmt.Errorf("%s: %w", k.Name, err))
			}
			break
		}
	}
}

// parseAmount parses a number that may be followed by kB, and returns it in bytes.
func parseAmount(b []byte) (int64, error) {
	kib, scaled := bytes.CutSuffix(b, []byte(" kB"))
	v, err := ParseInt(kib)
	switch {
	case err != nil || !scaled:
		return v, err
	case v > math.MaxInt64>>10:
		return 0, fmt.Errorf("%q is too large", clip(b))
	}
	return v << 10, nil
}

// cutWord splits line into its first word and the rest.
func cutWord(line []byte) (first, rest []byte) {
	line = bytes.TrimSpace(line)
	end := bytes.IndexAny(line, " \t")
	if end < 0 {
		return line, nil
	}
	return line[:end], line[end+1:]
}

// clip shortens b for use in an error.
func clip(b []byte) []byte { return b[:min(len(b), 40)] }
