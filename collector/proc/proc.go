// Package proc reads the proc file system: the stat, exe and mountinfo files of processes, the
// task/<tid>/{schedstat,status} files of threads, and the boot time.
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

// Path returns the path of a file below the root of the file system.
func (f *FS) Path(elem ...string) string {
	return f.root + "/" + strings.Join(elem, "/")
}

// Pids appends the ids of all processes in the file system's PID namespace to pids, in no
// particular order.
func (f *FS) Pids(pids []int) ([]int, error) {
	return appendIDs(f.root, pids)
}

// Stat reads file, the stat file of a process, and may keep it open.
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

// Cgroup reads file, the cgroup file of a process, and may keep it open if keepOpen is set. The
// result is valid until the next read.
func (f *FS) Cgroup(file *kernfile.File, keepOpen bool) ([]byte, error) {
	if !keepOpen {
		return f.reader.Read(file.Path)
	}
	return f.reader.ReadFile(file)
}

// Executable returns the base name of the process's executable. If the name is not readable, for
// example because the process belongs to another user, Executable returns comm, the name in the
// process's stat file, which has at most 15 bytes.
func (f *FS) Executable(pid int, comm string) string {
	target, err := os.Readlink(f.Path(strconv.Itoa(pid), "exe"))
	if err != nil {
		return comm
	}
	return filepath.Base(strings.TrimSuffix(target, " (deleted)"))
}

// appendIDs appends the process or thread ids in dir, which are the names that are positive
// numbers, to ids.
func appendIDs(dir string, ids []int) ([]int, error) {
	d, err := os.Open(dir)
	if err != nil {
		return ids, err
	}
	names, err := d.Readdirnames(-1)
	_ = d.Close() // opened only for reading
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue // cheaper than an error from Atoi
		}
		if n, err := strconv.Atoi(name); err == nil {
			ids = append(ids, n)
		}
	}
	return ids, err
}
