// Package proc reads what Linux says of a process and of its threads: /proc/<pid>/stat, exe, and
// task/<tid>/{schedstat,status}.
//
// Its parsers take bytes and return values or an error that says what was wrong. The formats are
// those of proc(5) and of https://docs.kernel.org/filesystems/proc.html. The package compiles
// everywhere; the files exist on Linux only.
package proc

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// FS is a proc file system. It is not safe for concurrent use: reads share a buffer.
type FS struct {
	root   string
	reader kernfile.Reader
}

// NewFS returns the proc file system mounted at root, "/proc" if empty.
func NewFS(root string) *FS {
	if root == "" {
		root = "/proc"
	}
	return &FS{root: root}
}

// Path returns the path of a file of the file system.
func (f *FS) Path(elem ...string) string {
	return f.root + "/" + strings.Join(elem, "/")
}

// Pids appends the ids of all processes that this PID namespace shows to pids, in no particular
// order.
func (f *FS) Pids(pids []int) ([]int, error) {
	return numbered(f.root, pids)
}

// Stat reads the stat file of a process.
func (f *FS) Stat(pid int) (Stat, error) {
	file := kernfile.NewFile(f.Path(strconv.Itoa(pid), "stat"))
	return f.StatOf(&file)
}

// StatOf reads a stat file, which may stay open.
func (f *FS) StatOf(file *kernfile.File) (Stat, error) {
	data, err := f.reader.ReadFile(file)
	if err != nil {
		return Stat{}, err
	}
	s, err := ParseStat(data)
	if err != nil {
		return Stat{}, &os.PathError{Op: "parse", Path: file.Path, Err: err}
	}
	return s, nil
}

// CgroupOf reads the cgroup file of a process, which stays open only if it is read often. The
// result is valid until the next read.
func (f *FS) CgroupOf(file *kernfile.File, often bool) ([]byte, error) {
	if !often {
		return f.reader.Read(file.Path)
	}
	return f.reader.ReadFile(file)
}

// Executable returns the base name of the file that a process runs. Another user's process does not
// show it; its comm, which the kernel cuts at 15 bytes and a process may change, is the next best
// then.
func (f *FS) Executable(pid int, comm string) string {
	target, err := os.Readlink(f.Path(strconv.Itoa(pid), "exe"))
	if err != nil {
		return comm
	}
	return filepath.Base(strings.TrimSuffix(target, " (deleted)"))
}

// numbered appends the names in a directory that are numbers.
func numbered(dir string, to []int) ([]int, error) {
	d, err := os.Open(dir)
	if err != nil {
		return to, err
	}
	names, err := d.Readdirnames(-1)
	_ = d.Close() // opened for reading: nothing can be lost
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue // most other files: cheaper than an error
		}
		if n, err := strconv.Atoi(name); err == nil {
			to = append(to, n)
		}
	}
	return to, err
}
