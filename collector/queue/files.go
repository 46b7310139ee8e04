package queue

import (
	"io"
	"os"
	"path/filepath"
)

// files gives access to a queue's directory. Tests replace it to inject faults.
type files interface {
	Lock() (io.Closer, error)       // creates the directory if necessary; errInUse if another process uses it
	List() ([]os.DirEntry, error)   // sorted by name
	Open(name string) (file, error) // for reading and writing; created if it does not exist
	Remove(name string) error       // the file must be closed
}

// file is a segment file. Concurrent reads and writes are safe.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error   // makes the data and the file's name durable; errDeleted if the file was deleted
	Deleted() bool // reports whether the file was deleted
}

// directory is the path of a directory. It implements files with package os.
type directory string

const lockName = "lock"

// Lock implements files.
func (d directory) Lock() (io.Closer, error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(string(d), lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// List implements files.
func (d directory) List() ([]os.DirEntry, error) { return os.ReadDir(string(d)) }

// Open implements files.
func (d directory) Open(name string) (file, error) {
	f, err := os.OpenFile(filepath.Join(string(d), name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, dir: string(d)}, nil
}

// Remove implements files.
func (d directory) Remove(name string) error { return os.Remove(filepath.Join(string(d), name)) }

type diskFile struct {
	*os.File

	dir        string
	nameSynced bool // the directory has been synced; used by the syncer only
}

// Size implements file.
func (f *diskFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Deleted implements file.
func (f *diskFile) Deleted() bool { return deleted(f.File) }

// Sync syncs the data. The first time it also syncs the directory, so that the file's name is
// durable too.
func (f *diskFile) Sync() error {
	if err := syncData(f.File); err != nil {
		return err
	}
	if f.Deleted() {
		return errDeleted
	}
	if !f.nameSynced {
		if err := syncDirectory(f.dir); err != nil {
			return err
		}
	}
	if err := verifySync(f.File); err != nil {
		return err
	}
	f.nameSynced = true
	return nil
}
