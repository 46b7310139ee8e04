// Package proc reads the proc file system: stat, exe and mountinfo of a process,
// task/<tid>/{schedstat,status} of its threads, and the time of the boot.
//
// The formats are described in proc(5) and at https://docs.kernel.org/filesystems/proc.html. The
// package compiles everywhere, but the files exist only on Linux.
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

// NewFS returns the proc file system mounted at root, or at /proc if root is empty.
func NewFS(root string) *FS {
	if root == "" {
		root = "/proc"
	}
	return &FS{root: root}
}

// Path returns the path of a file in the file system.
func (f *FS) Path(elem ...string) string {
	return f.root + "/" + strings.Join(elem, "/")
}

// Pids appends the ids of all processes in the PID namespace to pids, in no particular order.
func (f *FS) Pids(pids []int) ([]int, error) {
	return numbered(f.root, pids)
}

// Stat reads the stat file of a process. The file may stay open.
func (f *FS) Stat(file *kernfile.File) (Stat, error) {
	data, err := f.reader.ReadFile(file)
	if err != nil {
		return Stat{}, err
	}
	s, err := parseStat(data)
	if err != nil {
		return Stat{}, &os.PathError{Op: "parse", Path: file.Path, Err: err}
	}
	return s, nil
}

// Cgroup reads the cgroup file of a process. The file stays open only if often is set, meaning that
// it is read often. The result is valid until the next read.
func (f *FS) Cgroup(file *kernfile.File, often bool) ([]byte, error) {
	if !often {
		return f.reader.Read(file.Path)
	}
	return f.reader.ReadFile(file)
}

// Executable returns the base name of the file that a process executes. If it is not readable,
// because the process belongs to another user, Executable returns comm, which the kernel truncates
// to 15 bytes and the process may change.
func (f *FS) Executable(pid int, comm string) string {
	target, err := os.Readlink(f.Path(strconv.Itoa(pid), "exe"))
	if err != nil {
		return comm
	}
	return filepath.Base(strings.TrimSuffix(target, " (deleted)"))
}

// numbered appends the names in a directory that are positive numbers.
func numbered(dir string, to []int) ([]int, error) {
	d, err := os.Open(dir)
	if err != nil {
		return to, err
	}
	names, err := d.Readdirnames(-1)
	_ = d.Close() // was opened for reading
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue // cheaper than the error of Atoi
		}
		if n, err := strconv.Atoi(name); err == nil {
			to = append(to, n)
		}
	}
	return to, err
}
