package pools_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/internal/callsite"
	"github.com/poolgauge/poolgauge/pools"
)

type (
	numbers = *pools.Resources[int]
	number  = pools.Lease[int]

	// lender is an interface through which a program may use a pool.
	lender interface {
		Acquire(ctx context.Context) (number, error)
	}
	store struct{ pool numbers }
)

func take(ctx context.Context, p numbers) number {
	l, _ := p.Acquire(ctx)
	return l
}

//go:noinline
func (s store) get(ctx context.Context) number { return take(ctx, s.pool) }

//go:noinline
func (s store) getFast(ctx context.Context) number {
	if l, err := s.pool.TryAcquire(ctx); err == nil {
		return l
	}
	return s.get(ctx)
}

func acquireGeneric[T any](ctx context.Context, l lender, _ T) number {
	n, _ := l.Acquire(ctx)
	return n
}

// leakers are call sites that acquire a slot, each in a different way. mark identifies the line.
var leakers = []struct {
	mark string
	get  func(ctx context.Context, p numbers) number
}{
	{"plain", func(ctx context.Context, p numbers) number {
		l, _ := p.Acquire(ctx) // mark: plain
		return l
	}},
	{"helper", func(ctx context.Context, p numbers) number {
		l := take(ctx, p) // mark: helper
		return l
	}},
	{"method", func(ctx context.Context, p numbers) number {
		return store{p}.get(ctx) // mark: method
	}},
	{"fast", func(ctx context.Context, p numbers) number {
		return store{p}.getFast(ctx) // mark: fast
	}},
	{"interface", func(ctx context.Context, p numbers) number {
		return acquireGeneric(ctx, p, "") // mark: interface
	}},
	{"value", func(ctx context.Context, p numbers) number {
		get := store{p}.get
		return get(ctx) // mark: value
	}},
	{"goroutine", func(ctx context.Context, p numbers) number {
		got := make(chan number)
		go func() {
			got <- take(ctx, p) // mark: goroutine
		}()
		return <-got
	}},
	{"closure", func(ctx context.Context, p numbers) (l number) {
		func() {
			defer func() { l = take(ctx, p) }() // mark: closure
		}()
		return l
	}},
}

// leak runs a program in which one call site leaks some of the slots that it acquires, until no
// slot is left. It reports whether the oldest holder names that call site, and whether all holders
// do.
func leak(t *testing.T, seed uint64) (oldest, all bool) {
	r := rand.New(rand.NewPCG(seed, 18))
	p := newNumbers(t, 2+r.IntN(12))
	culprit := leakers[r.IntN(len(leakers))]
	share := 0.02 + 0.5*r.Float64()
	// without a pause, the pool is so busy that the clock is not read for each use
	pause := time.Duration(r.IntN(20)) * time.Millisecond
	var leaked []number
	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for range 3 { // callers that release their slots; some of them wait
		delay := time.Duration(1+r.IntN(50)) * time.Millisecond
		site := leakers[r.IntN(len(leakers))]
		others.Go(func() {
			for ctx.Err() == nil {
				if l := site.get(ctx, p); l != (number{}) {
					time.Sleep(delay)
					l.Release()
				}
			}
		})
	}
	for len(leaked) < p.Limit() {
		l := culprit.get(ctx, p)
		if r.Float64() < share {
			leaked = append(leaked, l)
		} else {
			l.Release()
		}
		time.Sleep(pause)
	}
	time.Sleep(5 * time.Second)
	want := marked(t, "holders_leak_test.go", culprit.mark)
	holders := p.Stats().Holders
	all = true
	for i, h := range holders {
		named := slices.Contains(lines(h.Calls), want)
		oldest = oldest || named && i == 0
		all = all && named
	}
	cancel()
	for _, l := range leaked {
		l.Release()
	}
	others.Wait()
	p.Close()
	return oldest, all
}

// In each of 100 programs with a leak, the oldest holder names the line that leaks.
func TestHoldersNameLeaks(t *testing.T) {
	if !callsite.Always {
		t.Skip("call sites are sampled on this architecture")
	}
	var oldest, all int
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			first, every := leak(t, seed)
			if first {
				oldest++
			}
			if every {
				all++
			}
		})
	}
	t.Logf("of 100 programs, the oldest holder names the leak in %d, and all holders do in %d", oldest, all)
	if oldest < 100 {
		t.Errorf("the oldest holder names the leak in %d of 100 programs, want all", oldest)
	}
}
