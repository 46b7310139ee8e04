package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/poolgauge/poolgauge/instrument/profile"
)

// task is a synthetic task whose class is known.
type task struct {
	name  string
	want  profile.Class
	calls int // number of calls in a profile
	open  func() (fn func(context.Context) error, cleanup func(), err error)

	byDisk bool // the class depends on the disk; want is the class on most disks, see right
}

// profile opens the task, calls it once for lazy initialization, and profiles it.
func (t task) profile(ctx context.Context) (*profile.Profile, error) {
	fn, cleanup, err := t.open()
	if err != nil {
		return nil, err
	}
	defer cleanup()
	if err := fn(ctx); err != nil {
		return nil, err
	}
	return profile.Times(ctx, t.calls, fn)
}

// tasks returns the nine tasks. Those that need files create them below dir.
func tasks(dir string) []task {
	const ms = time.Millisecond
	fsync := func() (func(context.Context) error, func(), error) { return openFsync(dir) }
	return []task{
		{name: "pure CPU, 5 ms", want: profile.CPUBound, calls: 20, open: simple(func() { work(5 * ms) })},
		{name: "sleep, 5 ms", want: profile.IOBound, calls: 20, open: simple(func() { time.Sleep(5 * ms) })},
		{
			name:  "2 ms CPU, 8 ms sleep",
			want:  profile.Mixed,
			calls: 20,
			open:  simple(func() { work(2 * ms); time.Sleep(8 * ms) }),
		},
		{
			name:  "5 ms CPU, 5 ms sleep",
			want:  profile.Mixed,
			calls: 20,
			open:  simple(func() { work(5 * ms); time.Sleep(5 * ms) }),
		},
		{name: "HTTP over loopback, answered after 5 ms", want: profile.IOBound, calls: 20, open: openHTTP},
		{name: "append and fsync", want: profile.IOBound, calls: 50, open: fsync, byDisk: true},
		{name: "mutex that 3 others hold for 1 ms", want: profile.LockContended, calls: 20, open: openMutex},
		{name: "channel wait, 5 ms", want: profile.IOBound, calls: 20, open: openChannel},
		{name: "quick, 1 µs", want: profile.Quick, calls: 10000, open: simple(func() { spin(unit / 100) })},
	}
}

// right reports whether c is a correct class for the task.
func (t task) right(c profile.Class) (bool, error) {
	if !t.byDisk {
		return c == t.want, nil
	}
	// The class of the fsync task depends on the disk and on other writes to it: on a fast disk,
	// the task is mixed.
	share, err := cpuShare(t.open)
	near := 0.07 < share && share < 0.15 // either class is right, since the disk's speed varies
	return c == profile.IOBound && (share <= 0.1 || near) || c == profile.Mixed && (share > 0.1 || near), err
}

// cpuShare returns the share of a task's wall time that its thread spends on a CPU, as measured by
// the kernel. open opens the task. The wall time is the median of several calls, so that calls that
// waited for a CPU do not distort it.
func cpuShare(open func() (func(context.Context) error, func(), error)) (float64, error) {
	fn, cleanup, err := open()
	if err != nil {
		return 0, err
	}
	defer cleanup()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const calls = 101
	var before, after unix.Rusage
	walls := make([]time.Duration, calls)
	err = unix.Getrusage(unix.RUSAGE_THREAD, &before)
	for i := range walls {
		start := time.Now()
		err = errors.Join(err, fn(context.Background()))
		walls[i] = time.Since(start)
	}
	err = errors.Join(err, unix.Getrusage(unix.RUSAGE_THREAD, &after))
	slices.Sort(walls)
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	return float64(cpu) / calls / float64(walls[calls/2]), err
}

func simple(f func()) func() (func(context.Context) error, func(), error) {
	return func() (func(context.Context) error, func(), error) {
		return func(context.Context) error { f(); return nil }, func() {}, nil
	}
}

// unit is the number of rounds of spin that take about 100 µs on an idle machine. Work is defined
// in rounds rather than in time, so that waiting for a CPU does not reduce it.
var unit = calibrate()

func spin(rounds int) {
	x := uint64(88172645463325252)
	for range rounds {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	sink.Store(x)
}

func calibrate() int {
	const rounds = 1 << 16
	best := time.Hour
	for range 50 {
		start := time.Now()
		spin(rounds)
		best = min(best, time.Since(start))
	}
	return int(float64(rounds) * float64(100*time.Microsecond) / float64(best))
}

func work(d time.Duration) {
	for range d / (100 * time.Microsecond) {
		spin(unit)
	}
}

func openHTTP() (func(context.Context) error, func(), error) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(5 * time.Millisecond)
		_, _ = io.WriteString(w, "hello") // the client may have disconnected
	}))
	get := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close() // the body was read to its end
		return err
	}
	return get, server.Close, nil
}

func openFsync(dir string) (func(context.Context) error, func(), error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return nil, nil, err
	}
	page := make([]byte, 4096)
	// Append, so that each fsync has metadata to commit to the file system's journal.
	write := func(context.Context) error {
		if _, err := f.Write(page); err != nil {
			return err
		}
		return f.Sync()
	}
	return write, func() { _ = f.Close() }, nil // the file's content does not matter
}

func openMutex() (func(context.Context) error, func(), error) {
	const others = 3
	var mu sync.Mutex
	var stopped atomic.Bool
	var all sync.WaitGroup
	hold := func() {
		mu.Lock()
		defer mu.Unlock()
		work(time.Millisecond)
	}
	for range others {
		all.Go(func() {
			for !stopped.Load() {
				hold()
			}
		})
	}
	return func(context.Context) error { hold(); return nil }, func() { stopped.Store(true); all.Wait() }, nil
}

func openChannel() (func(context.Context) error, func(), error) {
	ticks := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	var sender sync.WaitGroup
	sender.Go(func() {
		for ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
			select {
			case ticks <- struct{}{}:
			case <-ctx.Done():
			}
		}
	})
	wait := func(context.Context) error { <-ticks; return nil }
	return wait, func() { cancel(); sender.Wait() }, nil
}
