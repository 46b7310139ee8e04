package profile

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"runtime/trace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/thread"
)

func sleep(context.Context) error {
	time.Sleep(20 * time.Millisecond)
	return nil
}

// compute uses 5 ms of CPU time according to the thread's clock.
func compute(context.Context) error {
	for start := thread.CPU(); thread.CPU()-start < 5*time.Millisecond; {
		continue
	}
	return nil
}

func TestSleepIsIOBound(t *testing.T) {
	p, err := Times(t.Context(), 3, sleep)
	if err != nil {
		t.Fatal(err)
	}
	if p.Class != IOBound || p.Calls != 3 || p.Wall < 60*time.Millisecond {
		t.Errorf("sleeping: want I/O-bound, 3 calls and 60ms or more, got\n%v", p)
	}
	if len(p.Waits) == 0 || p.Waits[0].Reason != "sleep" || p.Waits[0].Count < 3 {
		t.Errorf("got waits %+v, want at least 3 for sleep", p.Waits)
	}
	if n, known := p.Workers.Get(); known && n < int64(runtime.GOMAXPROCS(0)) {
		t.Errorf("got %d workers, want at least GOMAXPROCS", n)
	}
}

// Even with more busy goroutines than processors, a task that computes is never classified as
// I/O-bound.
func TestComputingIsNeverIOBound(t *testing.T) {
	if !thread.HasClock {
		t.Skip("this system does not report the CPU time of a thread")
	}
	var stop atomic.Bool
	var busy sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		busy.Go(func() {
			for !stop.Load() {
				continue
			}
		})
	}
	p, err := Times(t.Context(), 10, compute)
	stop.Store(true)
	busy.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if p.Class == IOBound || p.Class == Mixed || p.Class == LockContended {
		t.Errorf("computing was classified as %v:\n%v", p.Class, p)
	}
	if cpu := p.OnCPU.Or(0); cpu < 50*time.Millisecond {
		t.Errorf("got %v on a CPU, want at least 50ms", cpu)
	}
}

func TestMutexAndChannelAreDistinguished(t *testing.T) {
	var mu sync.Mutex
	mu.Lock()
	p, err := Run(t.Context(), func(context.Context) error {
		time.AfterFunc(20*time.Millisecond, mu.Unlock)
		mu.Lock()
		defer mu.Unlock()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Class != LockContended {
		t.Errorf("waiting for a mutex: want lock-contended, got\n%v", p)
	}
	p, err = Run(t.Context(), func(context.Context) error {
		<-time.NewTimer(20 * time.Millisecond).C
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Class == LockContended || len(p.Waits) == 0 || p.Waits[0].Reason != "chan receive" {
		t.Errorf("waiting for a channel: want that reason, and not lock-contended, got\n%v", p)
	}
}

func TestWaitsInPackageSyncAreDistinguished(t *testing.T) {
	for want, wait := range map[string]func(){
		"wait group": func() {
			var wg sync.WaitGroup
			wg.Go(func() { time.Sleep(200 * time.Millisecond) })
			wg.Wait()
		},
		"condition": func() {
			var mu sync.Mutex
			c := sync.NewCond(&mu)
			mu.Lock()
			defer mu.Unlock()
			time.AfterFunc(20*time.Millisecond, func() {
				mu.Lock() // succeeds after Wait has released it
				defer mu.Unlock()
				c.Broadcast()
			})
			c.Wait()
		},
	} {
		p, err := Run(t.Context(), func(context.Context) error { wait(); return nil })
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Waits) == 0 || p.Waits[0].Reason != want {
			t.Errorf("waiting for a %s: want that reason, got\n%v", want, p)
		}
	}
}

func TestWorkOfOtherGoroutinesIsUndetermined(t *testing.T) {
	p, err := Times(t.Context(), 3, func(ctx context.Context) error {
		var wg sync.WaitGroup
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for start := time.Now(); time.Since(start) < 10*time.Millisecond; {
				continue
			}
		})
		wg.Wait()
		return ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Class != Undetermined || p.Started != 3 || p.Ran < 10*time.Millisecond || p.Ran > 2*p.Wall ||
		!strings.Contains(p.Reasons[0], "3 goroutines") {
		t.Errorf("work in 3 other goroutines: want undetermined, with that reason, got\n%v", p)
	}
}

func TestTimesWithoutTrace(t *testing.T) {
	var other bytes.Buffer
	if err := trace.Start(&other); err != nil {
		t.Fatal(err)
	}
	defer trace.Stop()
	p, err := Times(t.Context(), 3, sleep)
	if err != nil {
		t.Fatal(err)
	}
	if _, known := p.GoQueue.Get(); known || len(p.Waits) > 0 || p.Class == CPUBound || p.Class == LockContended {
		t.Errorf("another trace is running: want no scheduler wait and no reasons of waits, got\n%v", p)
	}
}

func TestErrorOrContextStopsCalls(t *testing.T) {
	wrong := errors.New("wrong")
	calls := 0
	p, err := Times(t.Context(), 10, func(context.Context) error {
		if calls++; calls == 3 {
			return wrong
		}
		return nil
	})
	if !errors.Is(err, wrong) || p == nil || p.Calls != 3 {
		t.Errorf("third call fails: got error %v, %+v; want its error and 3 calls", err, p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p, err = Times(ctx, 10, func(context.Context) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) || p == nil || p.Calls != 1 {
		t.Errorf("first call cancels ctx: got error %v, %+v; want the error of ctx and one call", err, p)
	}
	if p, err = Run(ctx, sleep); !errors.Is(err, context.Canceled) || p != nil {
		t.Errorf("ctx is already done: got error %v, %+v; want the error of ctx and no call", err, p)
	}
	if p, err = Times(t.Context(), 0, sleep); err == nil || p != nil {
		t.Error("0 calls were accepted")
	}
	if p, err = Run(t.Context(), nil); err == nil || p != nil {
		t.Error("a nil function was accepted")
	}
}

func TestPanicAndGoexitPropagateAndUnlockThread(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("test panic") }, "Goexit": runtime.Goexit} {
		var value any
		var returned, inside, after bool
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				value, after = recover(), locked()
			}()
			_, _ = Run(t.Context(), func(context.Context) error { inside = locked(); end(); return nil })
			returned = true
		})
		wg.Wait()
		if returned || !inside || after || (value != nil) != (name == "panic") {
			t.Errorf(
				"%s: returned: %v, thread locked during the call: %v, afterwards: %v, recovered %v",
				name,
				returned,
				inside,
				after,
				value,
			)
		}
		if trace.IsEnabled() {
			t.Fatalf("%s: the trace is still running", name)
		}
	}
}

// locked reports whether the calling goroutine is locked to its thread.
func locked() bool {
	buf := make([]byte, 200)
	return bytes.Contains(buf[:runtime.Stack(buf, false)], []byte("locked to thread"))
}

func TestAllocationsAreCounted(t *testing.T) {
	var sink []byte
	p, err := Times(t.Context(), 100, func(context.Context) error {
		sink = make([]byte, 1000)
		return nil
	})
	if err != nil || len(sink) == 0 {
		t.Fatal(err)
	}
	if p.ProcessAllocs < 100 || p.ProcessBytes < 100_000 || p.ProcessAllocs > 1<<30 || p.ProcessBytes > 1<<30 {
		t.Errorf("got %d objects, %d bytes; want at least 100 objects of 1000 bytes", p.ProcessAllocs, p.ProcessBytes)
	}
}
