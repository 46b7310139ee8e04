package pools

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// memory is the available memory, as set by a test.
type memory struct {
	mu      sync.Mutex
	bytes   int64
	unknown bool
	reads   int
}

func (m *memory) available() (int64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	return m.bytes, !m.unknown
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

func (m *memory) set(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes = bytes
}

func mustBudget(t *testing.T, task int64, m *memory, share float64) *MemoryBudget {
	t.Helper()
	b, err := NewMemoryBudget(t.Name(), task, MemoryConfig{Available: m.available, Share: share})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func (b *MemoryBudget) limit() int64 { return b.Stats().Limit.Or(-1) }

const tick = 100 * time.Millisecond

func TestMemoryBudgetFollowsWhatIsAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{bytes: 1000}
		b := mustBudget(t, 100, m, 0.5)
		for _, step := range []struct {
			what      string
			available int64
			wait      time.Duration
			acquire   int64
			limit     int64
		}{
			{"half of what is there", 1000, 0, 0, 500},
			{"it is not read more often than said", 100_000, tick / 2, 0, 500},
			{"but then it is", 2000, tick / 2, 400, 1000},
			{"what is promised and not allocated yet counts", 2000, tick, 0, 1000},
			{"so does what is allocated", 1600, tick, 0, 1000},
			{"others take something: 900 and 400 held", 900, tick, 0, 650},
			{"others take all but one task", -10_000, tick, 0, 100},
			{"what is held is given back to the limit, and no more than was there at rest", 1900, tick, 0, 1000},
			{"more is available than at rest: a limit of memory was raised", 9000, tick, 0, 4500},
			{"which is held to when tasks allocate", 8700, tick, 0, 4500},
			{"and when the limit is lowered again", 1500, tick, 0, 950},
		} {
			m.set(step.available)
			time.Sleep(step.wait)
			synctest.Wait()
			if took := b.TryAcquire(step.acquire); step.acquire > 0 && !took {
				t.Errorf("%s: no %d bytes", step.what, step.acquire)
			}
			if got := b.limit(); got != step.limit {
				t.Errorf("%s: limit %d, want %d", step.what, got, step.limit)
			}
		}
		b.Release(400)
		time.Sleep(tick)
		synctest.Wait()
		b.TryAcquire(0)
		if got := b.limit(); got != 750 {
			t.Errorf("at rest again: limit %d, want 750", got)
		}
	})
}

func TestMemoryBudgetAdmitsOneTaskHoweverLittleIsAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, 100, &memory{bytes: -1000}, 1)
		if !b.TryAcquire(100) || b.TryAcquire(1) {
			t.Error("not one task, or more than one")
		}
	})
}

func TestMemoryBudgetNoticesMemoryWhileAllWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{bytes: 1000}
		b := mustBudget(t, 100, m, 1)
		start := time.Now()
		go func() {
			time.Sleep(time.Minute + tick/2)
			// a limit of 3000: the 1000 bytes held may not be allocated yet, so there is room for
			// 2000 more
			m.set(3000)
			time.Sleep(time.Minute)
			b.Release(1000)
		}()
		_ = b.Acquire(t.Context(), 1000)
		if err := b.Acquire(t.Context(), 2500); err != nil || time.Since(start).Round(tick) != 2*time.Minute+tick {
			t.Errorf("%v after %v, want 2 minutes and a tick", err, time.Since(start))
		}
		b.Release(2500)
		synctest.Wait()
		before := m.count()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := m.count() - before; n > 1 {
			t.Errorf("read %d times without a request", n)
		}
	})
}

func TestMemoryBudgetKeepsItsLimitWhenAvailableIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{bytes: 1000}
		b := mustBudget(t, 100, m, 1)
		m.unknown = true
		time.Sleep(time.Hour)
		b.TryAcquire(0)
		if got := b.limit(); got != 1000 {
			t.Errorf("limit %d, want 1000", got)
		}
	})
}

func TestMemoryBudgetIsMaxIfAvailableIsUnknown(t *testing.T) {
	unknown := &memory{unknown: true}
	b, err := NewMemoryBudget(t.Name(), 100, MemoryConfig{Available: unknown.available, Max: 700})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := b.limit(); got != 700 {
		t.Errorf("limit %d, want 700", got)
	}
}

func TestMemoryBudgetTakesItsShareUpToMax(t *testing.T) {
	plenty := &memory{bytes: 1000}
	for highest, want := range map[int64]int64{0: 800, 700: 700} {
		b, err := NewMemoryBudget(t.Name(), 100, MemoryConfig{Available: plenty.available, Max: highest})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.limit(); got != want {
			t.Errorf("limit %d, want %d", got, want)
		}
		b.Close()
	}
}

func TestNewMemoryBudgetRefuses(t *testing.T) {
	some := &memory{bytes: 1000}
	unknown := &memory{unknown: true}
	for name, c := range map[string]struct {
		task int64
		cfg  MemoryConfig
		want error
	}{
		"no task":          {0, MemoryConfig{Available: some.available}, nil},
		"no share":         {1, MemoryConfig{Available: some.available, Share: -1}, nil},
		"too much":         {1, MemoryConfig{Available: some.available, Share: 1.1}, nil},
		"less than a task": {10, MemoryConfig{Available: some.available, Max: 9}, nil},
		"negative time":    {1, MemoryConfig{Available: some.available, Every: -1}, nil},
		"nothing to go by": {1, MemoryConfig{Available: unknown.available}, ErrNoMemoryLimit},
	} {
		for range 2 { // the name is free again
			b, err := NewMemoryBudget("refused", c.task, c.cfg)
			if err == nil || b != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v, %v", name, b, err)
			}
		}
	}
	if b, err := NewMemoryBudget("", 1, MemoryConfig{Available: some.available}); err == nil || b != nil {
		t.Errorf("no name: %v, %v", b, err)
	}
}

func TestMemoryBudgetClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{bytes: 100}
		b := mustBudget(t, 100, m, 1)
		_ = b.Acquire(t.Context(), 100)
		waits := make(chan error)
		go func() { waits <- b.Acquire(t.Context(), 1) }()
		synctest.Wait()
		b.Close()
		if err := <-waits; !errors.Is(err, ErrClosed) {
			t.Errorf("waiter: %v", err)
		}
		if b.timer.Stop() {
			t.Error("the timer runs after Close")
		}
		b.Release(100)
		reads := m.count()
		time.Sleep(tick)
		if err := b.Acquire(t.Context(), 1); !errors.Is(err, ErrClosed) || b.TryAcquire(1) {
			t.Errorf("after Close: %v", err)
		}
		if m.count() != reads {
			t.Error("it reads after Close")
		}
	})
}

func TestMemoryBudgetClosedAtRestReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{bytes: 100}
		b := mustBudget(t, 100, m, 1)
		b.Close()
		reads := m.count()
		if err := b.Acquire(t.Context(), 1); !errors.Is(err, ErrClosed) || b.TryAcquire(1) {
			t.Errorf("after Close: %v", err)
		}
		if m.count() != reads {
			t.Error("it reads after Close")
		}
	})
}

// Whatever the readings, every request is served, the limit stays within its bounds, and in the end
// nothing is in use.
func TestMemoryBudgetUnderFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const task, highest = 100, 2000
		faulty := func() (int64, bool) {
			if rand.IntN(4) == 0 {
				return 0, false
			}
			return rand.Int64N(3*highest) - highest, true
		}
		b, err := NewMemoryBudget(t.Name(), task, MemoryConfig{Available: faulty, Max: highest})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				for range 20 {
					bytes := 1 + rand.Int64N(task)
					ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
					if err := b.Acquire(ctx, bytes); err != nil {
						t.Errorf("%d bytes: %v", bytes, err)
					}
					cancel()
					if limit := b.limit(); limit < task || limit > highest {
						t.Errorf("limit %d", limit)
					}
					time.Sleep(time.Duration(rand.Int64N(int64(tick))))
					b.Release(bytes)
				}
			})
		}
		wg.Wait()
		if used := b.Stats().Usage[instrument.Used].Or(-1); used != 0 {
			t.Errorf("%d used in the end", used)
		}
	})
}

func TestMemoryBudgetRejectsRequestsAboveMax(t *testing.T) {
	m := &memory{bytes: 1 << 40}
	b, err := NewMemoryBudget(t.Name(), 100, MemoryConfig{Available: m.available, Max: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Acquire(
		context.Background(),
		1001,
	); !errors.Is(err, ErrTooLarge) ||
		!strings.Contains(err.Error(), t.Name()) {
		t.Errorf("1001 bytes of 1000: error %v, want ErrTooLarge", err)
	}
	if err := b.Acquire(t.Context(), 1000); err != nil {
		t.Error(err)
	}
	if n := b.Stats().Requests[instrument.Rejected].Or(-1); n != 1 {
		t.Errorf("%d rejected, want 1", n)
	}
}

// The sum of available memory and held memory may exceed the range of an int64.
func TestMemoryBudgetOfHugeMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{bytes: math.MaxInt64 - 1}
		b := mustBudget(t, 100, m, 1)
		_ = b.Acquire(t.Context(), MaxPermits)
		time.Sleep(2 * tick)
		synctest.Wait()
		if got := b.limit(); got != MaxPermits {
			t.Errorf("limit %d, want %d", got, int64(MaxPermits))
		}
	})
}
