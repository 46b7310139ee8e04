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

// memory is a fake source of available memory. It counts how often it is read.
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

func TestMemoryBudgetFollowsAvailableMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{bytes: 1000}
		b := mustBudget(t, 100, m, 0.5)
		for _, step := range []struct {
			name      string
			available int64
			wait      time.Duration
			acquire   int64
			limit     int64
		}{
			{"half of the available memory", 1000, 0, 0, 500},
			{"not read again before Every has passed", 100_000, tick / 2, 0, 500},
			{"read again after Every", 2000, tick / 2, 400, 1000},
			{"400 bytes acquired but not allocated", 2000, tick, 0, 1000},
			{"400 bytes acquired and allocated", 1600, tick, 0, 1000},
			{"others use memory: 900 available, 400 held", 900, tick, 0, 650},
			{"others use everything: room for one task remains", -10_000, tick, 0, 100},
			{"others release memory: limit not above that of the idle budget", 1900, tick, 0, 1000},
			{"more available than when idle: the container's limit was raised", 9000, tick, 0, 4500},
			{"limit stays when tasks allocate", 8700, tick, 0, 4500},
			{"the container's limit was lowered again", 1500, tick, 0, 950},
		} {
			m.set(step.available)
			time.Sleep(step.wait)
			synctest.Wait()
			if took := b.TryAcquire(step.acquire); step.acquire > 0 && !took {
				t.Errorf("%s: TryAcquire(%d) failed", step.name, step.acquire)
			}
			if got := b.limit(); got != step.limit {
				t.Errorf("%s: limit %d, want %d", step.name, got, step.limit)
			}
		}
		b.Release(400)
		time.Sleep(tick)
		synctest.Wait()
		b.TryAcquire(0)
		if got := b.limit(); got != 750 {
			t.Errorf("idle again: limit %d, want 750", got)
		}
	})
}

func TestMemoryBudgetAlwaysAdmitsOneTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, 100, &memory{bytes: -1000}, 1)
		if !b.TryAcquire(100) || b.TryAcquire(1) {
			t.Error("with no memory available, want room for exactly one task")
		}
	})
}

func TestMemoryBudgetServesWaiterWhenLimitRises(t *testing.T) {
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
			t.Errorf("Acquire returned %v after %v, want nil after 2 minutes and a tick", err, time.Since(start))
		}
		b.Release(2500)
		synctest.Wait()
		before := m.count()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := m.count() - before; n > 1 {
			t.Errorf("idle budget read the available memory %d times in an hour, want at most 1", n)
		}
	})
}

func TestMemoryBudgetKeepsLimitWhenAvailableBecomesUnknown(t *testing.T) {
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

func TestMemoryBudgetLimitIsMaxIfAvailableIsUnknown(t *testing.T) {
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

func TestMemoryBudgetLimitIsShareUpToMax(t *testing.T) {
	plenty := &memory{bytes: 1000}
	for maxBytes, want := range map[int64]int64{0: 800, 700: 700} {
		b, err := NewMemoryBudget(t.Name(), 100, MemoryConfig{Available: plenty.available, Max: maxBytes})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.limit(); got != want {
			t.Errorf("Max %d: limit %d, want %d", maxBytes, got, want)
		}
		b.Close()
	}
}

func TestNewMemoryBudgetRejectsInvalidConfig(t *testing.T) {
	some := &memory{bytes: 1000}
	unknown := &memory{unknown: true}
	for name, c := range map[string]struct {
		task int64
		cfg  MemoryConfig
		want error
	}{
		"no task":        {0, MemoryConfig{Available: some.available}, nil},
		"negative share": {1, MemoryConfig{Available: some.available, Share: -1}, nil},
		"share above 1":  {1, MemoryConfig{Available: some.available, Share: 1.1}, nil},
		"Max below task": {10, MemoryConfig{Available: some.available, Max: 9}, nil},
		"negative Every": {1, MemoryConfig{Available: some.available, Every: -1}, nil},
		"no known limit": {1, MemoryConfig{Available: unknown.available}, ErrNoMemoryLimit},
	} {
		for range 2 { // the failed call must not reserve the name
			b, err := NewMemoryBudget("refused", c.task, c.cfg)
			if err == nil || b != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: budget %v, error %v; want only an error", name, b, err)
			}
		}
	}
	if b, err := NewMemoryBudget("", 1, MemoryConfig{Available: some.available}); err == nil || b != nil {
		t.Errorf("no name: budget %v, error %v; want only an error", b, err)
	}
}

func TestMemoryBudgetClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{bytes: 100}
		b := mustBudget(t, 100, m, 1)
		_ = b.Acquire(t.Context(), 100)
		waiter := make(chan error)
		go func() { waiter <- b.Acquire(t.Context(), 1) }()
		synctest.Wait()
		b.Close()
		if err := <-waiter; !errors.Is(err, ErrClosed) {
			t.Errorf("waiter: error %v, want ErrClosed", err)
		}
		if b.timer.Stop() {
			t.Error("the timer is still set after Close")
		}
		b.Release(100)
		reads := m.count()
		time.Sleep(tick)
		if err := b.Acquire(t.Context(), 1); !errors.Is(err, ErrClosed) || b.TryAcquire(1) {
			t.Errorf("after Close: Acquire error %v, want ErrClosed, and TryAcquire must fail", err)
		}
		if m.count() != reads {
			t.Error("the available memory is read after Close")
		}
	})
}

func TestMemoryBudgetClosedWhileIdleReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{bytes: 100}
		b := mustBudget(t, 100, m, 1)
		b.Close()
		reads := m.count()
		if err := b.Acquire(t.Context(), 1); !errors.Is(err, ErrClosed) || b.TryAcquire(1) {
			t.Errorf("after Close: Acquire error %v, want ErrClosed, and TryAcquire must fail", err)
		}
		if m.count() != reads {
			t.Error("the available memory is read after Close")
		}
	})
}

// Whatever Available returns, every request is served, the limit stays within its bounds, and no
// bytes are in use at the end.
func TestMemoryBudgetWithFaultyReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const task, maxBytes = 100, 2000
		faulty := func() (int64, bool) {
			if rand.IntN(4) == 0 {
				return 0, false
			}
			return rand.Int64N(3*maxBytes) - maxBytes, true
		}
		b, err := NewMemoryBudget(t.Name(), task, MemoryConfig{Available: faulty, Max: maxBytes})
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
						t.Errorf("Acquire(%d): %v", bytes, err)
					}
					cancel()
					if limit := b.limit(); limit < task || limit > maxBytes {
						t.Errorf("limit %d, want %d to %d", limit, task, maxBytes)
					}
					time.Sleep(time.Duration(rand.Int64N(int64(tick))))
					b.Release(bytes)
				}
			})
		}
		wg.Wait()
		if used := b.Stats().Usage[instrument.Used].Or(-1); used != 0 {
			t.Errorf("%d bytes used at the end, want 0", used)
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
		t.Errorf("Acquire(1001) with Max 1000: error %v, want ErrTooLarge and the budget's name", err)
	}
	if err := b.Acquire(t.Context(), 1000); err != nil {
		t.Error(err)
	}
	if n := b.Stats().Requests[instrument.Rejected].Or(-1); n != 1 {
		t.Errorf("%d requests rejected, want 1", n)
	}
}

// The sum of available and held bytes may overflow an int64.
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
