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

// bench is the simplest possible task pool: one goroutine per task, with a limited number at a
// time. The adapters test real pools.
type bench struct {
	slots  chan struct{}
	closed bool

	mu      sync.Mutex
	waiting int
}

var errNo = errors.New("no")

func (b *bench) Submit(task func()) error {
	if b.closed || task == nil {
		return errNo
	}
	b.wait(1)
	b.slots <- struct{}{}
	b.wait(-1)
	go func() {
		defer func() {
			_ = recover() // as pools do
			<-b.slots
		}()
		task()
	}()
	return nil
}

func (b *bench) wait(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting += n
}

func (b *bench) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting
}

func (b *bench) Running() int   { return len(b.slots) }
func (b *bench) Cap() int       { return cap(b.slots) }
func (b *bench) IsClosed() bool { return b.closed }

func mustTasks(t testing.TB, n int, opts ...instrument.Option) (*wrap.TaskPool, *bench) {
	t.Helper()
	b := &bench{slots: make(chan struct{}, n)}
	s, err := wrap.NewTaskPool(t.Name(), "bench", b, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, b
}

func TestTaskPoolReportsWhatItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := mustTasks(t, 2, instrument.WithExactTiming())
		if st := s.Stats(); st.Limit.Or(0) != 2 || st.Usage != [3]instrument.Optional[int64]{} {
			t.Errorf("before the first task: %+v", st)
		}
		second := func() { time.Sleep(time.Second) }
		if err := errors.Join(s.Submit(second), s.Submit(func() { panic("a task") })); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := s.Submit(second); err != nil {
			t.Fatal(err)
		}
		go func() { _ = s.Submit(second) }()
		synctest.Wait()
		st := s.Stats()
		if st.Pending.Or(0) != 1 || st.Usage[instrument.Used].Or(0) != 2 || st.Usage[instrument.Idle].Or(-1) != 0 {
			t.Errorf("%d pending, %d used, want 1, 2", st.Pending.Or(-1), st.Usage[instrument.Used].Or(-1))
		}
		time.Sleep(3 * time.Second)
		b.closed = true
		if err := s.Submit(second); !errors.Is(err, errNo) {
			t.Errorf("closed: %v", err)
		}
		b.closed = false
		if err := s.Submit(nil); !errors.Is(err, errNo) {
			t.Errorf("nothing: %v", err)
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
				t.Errorf("%s: %d, want %d", what, got[0], got[1])
			}
		}
		if w := st.Wait[instrument.Acquired]; w.Count() != 4 || w.Sum() != 1 {
			t.Errorf("%d waited %v s, want 4 and 1 s", w.Count(), w.Sum())
		}
		if st.Use.Count() != 4 || st.Use.Sum() != 3 || st.UseTime.Or(0) != 3 {
			t.Errorf("%d used %v s, want 4 and 3 s", st.Use.Count(), st.Use.Sum())
		}
	})
}

func TestTaskPoolInTheSettingsOfTelemetry(t *testing.T) {
	pooltest.Settings(t, "bench", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		b := &bench{slots: make(chan struct{}, 1)}
		s, err := wrap.NewTaskPool(name, "bench", b, opts...)
		if err != nil {
			return pooltest.Pool{}, err
		}
		return pooltest.Pool{Close: s.Close, Use: func() {
			_ = s.Submit(func() {})
			b.slots <- struct{}{} // until the task has ended
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
		for range cap(b.slots) { // until all have ended
			b.slots <- struct{}{}
		}
	})
	if n := s.Stats().Completed[instrument.OK].Or(0); n != callers*each {
		t.Errorf("%d completed, want %d", n, callers*each)
	}
}
