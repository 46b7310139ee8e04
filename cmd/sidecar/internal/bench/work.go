package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"
)

// Work is the kind of work that the tasks of a benchmark do.
type Work struct {
	Name string // cpu, file, http, mixed, or the target that the user gave
	What string // description of a task

	// bounded limits the work to Options.Max concurrent tasks, since other clients may be using the
	// same target.
	bounded bool

	// prepare returns the task, and a cleanup function to call after all tasks have returned.
	prepare func(ctx context.Context) (task, func(), error)
}

// The parameters of the built-in tasks.
const (
	cpuTask   = 250 * time.Microsecond // time on one CPU
	httpDelay = 2 * time.Millisecond   // until the loopback server responds
	fileSize  = 4096
	maxConns  = 4096
)

// BuiltIn returns the kinds of work in a default run. The file work writes to dir, or to the
// temporary directory if dir is empty.
func BuiltIn(dir string) []Work {
	return []Work{
		{"cpu", fmt.Sprintf("hashing, %v of CPU", cpuTask), false, prepareCPU},
		{"file", "write 4 KiB, flush it to the disk, read it", false, prepareFile(dir)},
		{"http", fmt.Sprintf("GET from a loopback server that responds after %v", httpDelay), false, prepareHTTP},
		{"mixed", "the http task and then the cpu task", false, prepareMixed},
	}
}

// URL returns work whose tasks send a GET request to address.
func URL(address string) Work {
	return Work{address, "GET", true, func(context.Context) (task, func(), error) {
		get, done := getter(address)
		return get, done, nil
	}}
}

// TCP returns work whose tasks connect to address and close the connection.
func TCP(address string) Work {
	return Work{address, "connect and close", true, func(context.Context) (task, func(), error) {
		dialer := net.Dialer{Timeout: 10 * time.Second}
		return func(ctx context.Context) error {
			conn, err := dialer.DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			return conn.Close()
		}, func() {}, nil
	}}
}

// prepareCPU determines how many hashes take the time cpuTask. It uses the fastest of several
// tries, since other processes can only slow a try down.
func prepareCPU(context.Context) (task, func(), error) {
	const probe = 200
	fastest := time.Hour
	for range 20 {
		start := time.Now()
		hash(probe)
		fastest = min(fastest, time.Since(start))
	}
	times := max(1, int(probe*cpuTask/max(1, fastest)))
	return func(context.Context) error { hash(times); return nil }, func() {}, nil
}

// hash computes the given number of hashes. Each hashes the result of the previous one, so that the
// compiler cannot remove any.
func hash(times int) {
	var block [sha256.Size]byte
	for range times {
		block = sha256.Sum256(block[:])
	}
	runtime.KeepAlive(block)
}

// prepareFile returns a function that prepares the file work. Each running task has a file to
// itself. The most recently used file is reused first: there are never more files than concurrent
// tasks, and flushing a different file each time would be slower.
func prepareFile(dir string) func(context.Context) (task, func(), error) {
	return func(context.Context) (task, func(), error) {
		scratch, err := os.MkdirTemp(dir, "sidecar-bench-")
		if err != nil {
			return nil, nil, fmt.Errorf(
				"cannot create a directory for the file benchmark: %w (use --dir to choose another one)",
				err,
			)
		}
		files := &files{dir: scratch}
		return func(context.Context) error {
			f, err := files.take()
			if err != nil {
				return err
			}
			defer files.put(f)
			return writeAndRead(f)
		}, files.remove, nil
	}
}

// files is a pool of the files that no task is using.
type files struct {
	dir  string
	mu   sync.Mutex
	free []*os.File
}

func (s *files) take() (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.free) - 1
	if last < 0 {
		return os.CreateTemp(s.dir, "")
	}
	f := s.free[last]
	s.free = s.free[:last]
	return f, nil
}

func (s *files) put(f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, f)
}

// remove closes and deletes all files.
func (s *files) remove() {
	for _, f := range s.free {
		_ = f.Close() // the directory is deleted anyway
	}
	_ = os.RemoveAll(s.dir)
}

func writeAndRead(f *os.File) error {
	var block [fileSize]byte
	if _, err := f.WriteAt(block[:], 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	_, err := f.ReadAt(block[:], 0)
	return err
}

func prepareHTTP(ctx context.Context) (task, func(), error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot start a server for the http benchmark: %w", err)
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(httpDelay)
			_, _ = io.WriteString(w, "ok\n") // this fails if the task was canceled
		}),
	}
	go func() { _ = server.Serve(listener) }() // until Close
	get, closeIdle := getter("http://" + listener.Addr().String())
	return get, func() { closeIdle(); _ = server.Close() }, nil
}

func getter(address string) (get task, done func()) {
	transport := &http.Transport{MaxIdleConns: maxConns, MaxIdleConnsPerHost: maxConns, DisableCompression: true}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode >= http.StatusBadRequest {
			return fmt.Errorf("GET %s: %s", address, resp.Status)
		}
		return nil
	}, transport.CloseIdleConnections
}

func prepareMixed(ctx context.Context) (task, func(), error) {
	compute, _, err := prepareCPU(ctx)
	if err != nil {
		return nil, nil, err
	}
	get, done, err := prepareHTTP(ctx)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context) error {
		if err := get(ctx); err != nil {
			return err
		}
		return compute(ctx)
	}, done, nil
}
