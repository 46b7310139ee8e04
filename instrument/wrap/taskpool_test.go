package wrap_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

// goPool is the simplest possible task pool: it starts a goroutine for each task, and limits how
// many run at a time. The tests of the adapters cover real pools.
type goPool struct {
	slots  chan struct{}
	closed bool

	mu      sync.Mutex
	waiting int
}

var errRefused = errors.New("refused")

func (b *goPool) Submit(task func()) error {
	if b.closed || task == nil {
		return errRefused
	}
	b.addWaiting(1)
	b.slots <- struct{}{}
	b.addWaiting(-1)
	go func() {
		defer func() {
			_ = recover() // as most pools do
			<-b.slots
		}()
		task()
	}()
	return nil
}

func (b *goPool) addWaiting(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting += n
}

func (b *goPool) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting
}

func (b *goPool) Running() int   { return len(b.slots) }
func (b *goPool) Cap() int       { return cap(b.slots) }
func (b *goPool) IsClosed() bool { return b.closed }

func mustTasks(t testing.TB, n int, opts ...instrument.Option) (*wrap.TaskPool, *goPool) {
	t.Helper()
	b := &goPool{slots: make(chan struct{}, n)}
	s, err := wrap.NewTaskPool(t.Name(), "bench", b, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, b
}

func TestTaskPoolStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := mustTasks(t, 2, instrument.WithExactTiming())
		if st := s.Stats(); st.Limit.Or(0) != 2 || st.Usage != [3]instrument.Optional[int64]{} {
			t.Errorf("before the first task: got %+v, want only a limit of 2, and no usage", st)
		}
		sleep := func() { time.Sleep(time.Second) }
		if err := errors.Join(s.Submit(sleep), s.Submit(func() { panic("test panic") })); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := s.Submit(sleep); err != nil {
			t.Fatal(err)
		}
		go func() { _ = s.Submit(sleep) }()
		synctest.Wait()
		st := s.Stats()
		if st.Pending.Or(0) != 1 || st.Usage[instrument.Used].Or(0) != 2 || st.Usage[instrument.Idle].Or(-1) != 0 {
			t.Errorf("got %d pending, usage %v; want 1, 2 used and 0 idle", st.Pending.Or(-1), st.Usage)
		}
		time.Sleep(3 * time.Second)
		b.closed = true
		if err := s.Submit(sleep); !errors.Is(err, errRefused) {
			t.Errorf("Submit to a closed pool: got error %v, want that of the pool", err)
		}
		b.closed = false
		if err := s.Submit(nil); !errors.Is(err, errRefused) {
			t.Errorf("Submit(nil): got error %v, want that of the pool", err)
		}
		st = s.Stats()
		for what, got := range map[string][2]int64{
			"acquired": {st.Requests[instrument.Acquired].Or(0), 4},
			"closed":   {st.Requests[instrument.WasClosed].Or(0), 1},
			"rejected": {st.Requests[instrument.Rejected].Or(-1), 0},
			"ok":       {st.Completed[instrument.OK].Or(0), 3},
			"panic":    {st.Completed[instrument.Panicked].Or(0), 1},
		} {
			if got[0] != got[1] {
				t.Errorf("%s: got %d, want %d", what, got[0], got[1])
			}
		}
		if w := st.Wait[instrument.Acquired]; w.Count() != 4 || w.Sum() != 1 {
			t.Errorf("got %d waits, %v s in total; want 4, 1 s", w.Count(), w.Sum())
		}
		if st.Use.Count() != 4 || st.Use.Sum() != 3 || st.UseTime.Or(0) != 3 {
			t.Errorf(
				"got %d uses, %v s in total, use time %v s; want 4, 3 s, 3 s",
				st.Use.Count(),
				st.Use.Sum(),
				st.UseTime.Or(0),
			)
		}
	})
}

func TestTaskPoolTelemetrySettings(t *testing.T) {
	pooltest.Settings(t, "bench", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		b := &goPool{slots: make(chan struct{}, 1)}
		s, err := wrap.NewTaskPool(name, "bench", b, opts...)
		if err != nil {
			return pooltest.Pool{}, err
		}
		return pooltest.Pool{Close: s.Close, Use: func() {
			_ = s.Submit(func() {})
			b.slots <- struct{}{} // waits until the task has ended
			<-b.slots
		}}, nil
	})
}

func TestTaskPoolInvariantsUnderLoad(t *testing.T) {
	s, b := mustTasks(t, 3)
	const callers, each = 8, 2000
	var in pooltest.Invariants
	in.HoldUnder(t, s.Stats, func() {
		var tasks, wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					tasks.Add(1)
					_ = s.Submit(tasks.Done)
				}
			})
		}
		wg.Wait()
		tasks.Wait()
		for range cap(b.slots) { // waits until all tasks have ended
			b.slots <- struct{}{}
		}
	})
	if n := s.Stats().Completed[instrument.OK].Or(0); n != callers*each {
		t.Errorf("got %d tasks completed, want %d", n, callers*each)
	}
}
