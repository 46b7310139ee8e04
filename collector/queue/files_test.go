package queue

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// memoryFiles implements files in memory.
type memoryFiles struct {
	mu      sync.Mutex
	content map[string][]byte
}

type memoryFile struct {
	*memoryFiles

	name string
}

type memoryEntry struct {
	fs.DirEntry

	name string
}

func (e memoryEntry) Name() string { return e.name }
func (memoryEntry) IsDir() bool    { return false }

func (*memoryFiles) Lock() (io.Closer, error) { return io.NopCloser(nil), nil }

func (m *memoryFiles) List() (out []os.DirEntry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.content {
		out = append(out, memoryEntry{name: name})
	}
	return out, nil
}

func (m *memoryFiles) Open(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.content[name] = append(m.content[name], []byte{}...)
	return memoryFile{m, name}, nil
}

func (m *memoryFiles) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.content, name)
	return nil
}

func (f memoryFile) ReadAt(b []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := copy(b, f.content[f.name][min(at, int64(len(f.content[f.name]))):])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f memoryFile) WriteAt(b []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.content[f.name]
	if grow := int(at) + len(b) - len(c); grow > 0 {
		c = append(c, make([]byte, grow)...)
	}
	copy(c[at:], b)
	f.content[f.name] = c
	return len(b), nil
}

func (f memoryFile) Size() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.content[f.name])), nil
}

func (f memoryFile) Truncate(n int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.content[f.name] = f.content[f.name][:n]
	return nil
}

func (memoryFile) Deleted() bool { return false }
func (memoryFile) Sync() error   { return nil }
func (memoryFile) Close() error  { return nil }

// faultyFiles injects faults into operations on real files. The operations are lock, list, open,
// remove, read, append, mark, truncate and sync.
type faultyFiles struct {
	files

	mu     sync.Mutex
	faults map[string]error
	hang   map[string]chan struct{} // until the channel is closed
	room   int                      // maximum size of an append, if not 0
}

type faultyFile struct {
	file

	f *faultyFiles
}

func faulty(dir string) *faultyFiles {
	return &faultyFiles{files: directory(dir), faults: make(map[string]error), hang: make(map[string]chan struct{})}
}

// fail makes operations fail with err; nil makes them work again.
func (f *faultyFiles) fail(err error, operations ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range operations {
		f.faults[o] = err
	}
}

// hold makes operations hang until release is called.
func (f *faultyFiles) hold(operations ...string) (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan struct{})
	for _, o := range operations {
		f.hang[o] = c
	}
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for o, h := range f.hang {
			if h == c {
				delete(f.hang, o)
			}
		}
		close(c)
	})
}

func (f *faultyFiles) do(operation string) error {
	f.mu.Lock()
	hang := f.hang[operation]
	f.mu.Unlock()
	if hang != nil {
		<-hang
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.faults[operation]
}

func (f *faultyFiles) Lock() (io.Closer, error) {
	if err := f.do("lock"); err != nil {
		return nil, err
	}
	return f.files.Lock()
}

func (f *faultyFiles) List() ([]os.DirEntry, error) {
	if err := f.do("list"); err != nil {
		return nil, err
	}
	return f.files.List()
}

func (f *faultyFiles) Open(name string) (file, error) {
	if err := f.do("open"); err != nil {
		return nil, err
	}
	o, err := f.files.Open(name)
	if err != nil {
		return nil, err
	}
	return &faultyFile{o, f}, nil
}

func (f *faultyFiles) Remove(name string) error {
	if err := f.do("remove"); err != nil {
		return err
	}
	return f.files.Remove(name)
}

func (f *faultyFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.f.do("read"); err != nil {
		return 0, err
	}
	return f.file.ReadAt(b, at)
}

// WriteAt writes half of the data before an append fails.
func (f *faultyFile) WriteAt(b []byte, at int64) (int, error) {
	if len(b) == 1 {
		if err := f.f.do("mark"); err != nil {
			return 0, err
		}
		return f.file.WriteAt(b, at)
	}
	err := f.f.do("append")
	f.f.mu.Lock()
	room := f.f.room
	f.f.mu.Unlock()
	if err == nil && room > 0 && len(b) > room {
		err = syscall.ENOSPC
	}
	if err != nil {
		n, err2 := f.file.WriteAt(b[:len(b)/2], at)
		return n, errors.Join(err, err2)
	}
	return f.file.WriteAt(b, at)
}

func (f *faultyFile) Truncate(n int64) error {
	if err := f.f.do("truncate"); err != nil {
		return err
	}
	return f.file.Truncate(n)
}

func (f *faultyFile) Sync() error {
	if err := f.f.do("sync"); err != nil {
		return err
	}
	return nil // no test simulates power loss
}

// without returns the numbers in all that are not in excluded.
func without(all []int, excluded ...int) []int {
	return slices.DeleteFunc(slices.Clone(all), func(n int) bool { return slices.Contains(excluded, n) })
}

// recoveryTime is the maximum time that the queue takes to recover from a fault.
const recoveryTime = 2*retryInterval + slowAfter + 10*time.Second

// removeAll is like os.RemoveAll, but repeats it if the queue creates a file in the meantime.
func removeAll(dir string) (err error) {
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			break
		}
	}
	return err
}
