package pools_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

func (m *resModel) end(name, reason string) {
	m.ended[reason]++
	if reason != "hijacked" {
		m.destroyed = append(m.destroyed, name)
	}
}

// resPlay makes the same moves in the pool and in the model. Each byte encodes a move.
type resPlay struct {
	t        *testing.T
	m        resModel
	p        *pools.Resources[string]
	requests []*resRequest // of the model
	real     []*resRequest // of the pool, at the same index

	mu        sync.Mutex // guards everything below
	destroyed []string
}

type resRequestKey struct{}

func newResPlay(t *testing.T) *resPlay {
	g := &resPlay{t: t}
	g.m = resModel{
		limit:   3,
		since:   map[string]time.Duration{},
		used:    map[string]bool{},
		ended:   map[string]int64{},
		maxIdle: 10 * time.Second,
	}
	construct := func(ctx context.Context) (string, error) {
		r, _ := ctx.Value(resRequestKey{}).(*resRequest)
		if r.bad {
			return "", errResTest
		}
		return r.name, nil
	}
	var err error
	g.p, err = pools.NewResources(t.Name(), g.m.limit, construct, pools.ResourcesConfig[string]{
		MaxIdleTime: g.m.maxIdle,
		Destroy: func(name string) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.destroyed = append(g.destroyed, name)
		},
	}, instrument.WithExactTiming())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// request makes the same request of the model and the pool. If try is set, it calls TryAcquire.
func (g *resPlay) request(bad, try bool) {
	r := &resRequest{name: fmt.Sprint("r", len(g.requests)), bad: bad}
	mirror := *r
	ctx, cancel := context.WithCancel(context.WithValue(g.t.Context(), resRequestKey{}, &mirror))
	mirror.cancel = cancel
	g.requests, g.real = append(g.requests, r), append(g.real, &mirror)
	if try {
		g.m.try(r)
		lease, err := g.p.TryAcquire(ctx)
		mirror.finish(lease, err)
		return
	}
	if !g.m.take(r) {
		g.m.waiting = append(g.m.waiting, r)
	}
	go func() {
		lease, err := g.p.Acquire(ctx)
		mirror.finish(lease, err)
	}()
}

func (m *resModel) try(r *resRequest) {
	if len(m.idle) > 0 {
		m.take(r)
		return
	}
	m.outcomes[instrument.Rejected]++
	r.result = "full"
	if m.alive() >= m.limit {
		return
	}
	if r.bad {
		m.failed++
		return
	}
	m.idle = append(m.idle, r.name)
	m.since[r.name] = m.now
}

func (r *resRequest) finish(l pools.Lease[string], err error) {
	r.lease = l
	switch {
	case err == nil:
		r.result = l.Value()
	case errors.Is(err, context.Canceled):
		r.result = "canceled"
	case errors.Is(err, pools.ErrFull):
		r.result = "full"
	case errors.Is(err, errResTest):
		r.result = "error"
	default:
		r.result = err.Error()
	}
}

// move makes the move that b encodes.
func (g *resPlay) move(b byte) {
	switch arg := int(b / 16); b % 16 {
	case 0, 1, 2:
		g.request(false, false)
	case 3:
		g.request(true, false)
	case 4:
		g.request(arg%4 == 0, true)
	case 5:
		g.cancel(arg)
	case 6, 7, 8, 9, 10, 11:
		g.finish(arg, b%16-6)
	case 12:
		g.m.limit = 1 + arg%5
		for len(g.m.idle) > 0 && g.m.alive() > g.m.limit {
			g.m.end(g.m.idle[0], "shrink")
			g.m.idle = g.m.idle[1:]
		}
		if err := g.p.Resize(g.m.limit); err != nil {
			g.t.Error(err)
		}
	case 13:
		for _, name := range g.m.idle {
			g.m.end(name, "reset")
		}
		g.m.idle = nil
		for name := range g.m.used {
			g.m.used[name] = true
		}
		g.p.Reset()
	case 14:
		nap := time.Duration(1+arg) * time.Second
		time.Sleep(nap)
		g.m.now += nap
	case 15:
		g.lendAll()
	}
	g.m.serveWaiters()
	g.m.expire()
}

// cancel ends the context of a waiting request.
func (g *resPlay) cancel(arg int) {
	if len(g.m.waiting) == 0 {
		return
	}
	i := arg % len(g.m.waiting)
	r := g.m.waiting[i]
	g.m.waiting = slices.Delete(g.m.waiting, i, i+1)
	g.m.outcomes[instrument.Canceled]++
	r.result = "canceled"
	g.real[slices.Index(g.requests, r)].cancel()
}

// finish ends one use, and then tries to end it again.
func (g *resPlay) finish(arg int, how byte) {
	held := slices.Sorted(maps.Keys(g.m.used))
	if len(held) == 0 {
		return
	}
	name := held[arg%len(held)]
	i := slices.IndexFunc(g.real, func(r *resRequest) bool { return r.result == name && r.cancel != nil })
	lease := g.real[i].lease
	g.real[i].cancel()
	g.real[i].cancel = nil // it has ended
	switch how {
	case 0:
		g.m.release(name, true)
		lease.ReleaseUnused()
	case 1:
		delete(g.m.used, name)
		g.m.end(name, "destroyed")
		lease.Destroy()
	case 2:
		delete(g.m.used, name)
		g.m.end(name, "hijacked")
		lease.Hijack()
	default:
		g.m.release(name, false)
		lease.Release()
	}
	resWantPanic(g.t, lease.Release, "has ended")
}

// lendAll acquires all idle resources and releases them.
func (g *resPlay) lendAll() {
	g.m.outcomes[instrument.Acquired] += int64(len(g.m.idle))
	slices.Reverse(g.m.idle)
	for _, l := range g.p.AcquireAllIdle() {
		l.ReleaseUnused()
	}
}

// compare fails the test if the pool differs from the model.
func (g *resPlay) compare(in *pooltest.Invariants, moves []byte) {
	g.t.Helper()
	s := g.p.Stats()
	if err := in.Check(s); err != nil {
		g.t.Fatalf("after %v: %v", moves, err)
	}
	for i, r := range g.requests {
		if r.result != g.real[i].result {
			g.t.Fatalf("after %v: request %s got %q, want %q", moves, r.name, g.real[i].result, r.result)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.Sort(g.destroyed)
	slices.Sort(g.m.destroyed)
	if !slices.Equal(g.destroyed, g.m.destroyed) {
		g.t.Fatalf("after %v: destroyed %v, want %v", moves, g.destroyed, g.m.destroyed)
	}
	got := []int64{
		s.Limit.Or(-1),
		s.Usage[instrument.Used].Or(-1),
		s.Usage[instrument.Idle].Or(-1),
		s.Pending.Or(-1),
		resCount(
			s,
			instrument.CreateFailed,
			"error",
		),
		resCount(s, instrument.Ended, "idle"),
		resCount(s, instrument.Ended, "reset"),
		resCount(
			s,
			instrument.Ended,
			"shrink",
		),
		resCount(s, instrument.Ended, "destroyed"),
		resCount(s, instrument.Ended, "hijacked"),
	}
	want := []int64{
		int64(g.m.limit),
		int64(len(g.m.used)),
		int64(len(g.m.idle)),
		int64(len(g.m.waiting)),
		g.m.failed,
		g.m.ended["idle"],
		g.m.ended["reset"],
		g.m.ended["shrink"],
		g.m.ended["destroyed"],
		g.m.ended["hijacked"],
	}
	for i, n := range g.m.outcomes {
		got, want = append(got, s.Requests[i].Or(-1)), append(want, n)
	}
	if !slices.Equal(got, want) {
		g.t.Fatalf("after %v: pool and model differ:\n%v\n%v", moves, got, want)
	}
}

// resPlayAll makes the moves, then ends all waits and closes the pool.
func resPlayAll(t *testing.T, moves []byte) {
	synctest.Test(t, func(t *testing.T) {
		g := newResPlay(t)
		in := pooltest.Invariants{Shrinks: true}
		for i, b := range moves {
			g.move(b)
			synctest.Wait()
			g.compare(&in, moves[:i+1])
		}
		closed := make(chan struct{})
		go func() {
			g.p.Close()
			close(closed)
		}()
		synctest.Wait()
		for i, r := range g.requests {
			if _, held := g.m.used[r.result]; held && g.real[i].cancel != nil {
				g.real[i].lease.Release()
			}
			if g.real[i].result == "" {
				t.Errorf("request %s still waits after Close", r.name)
			}
		}
		<-closed
		if s := g.p.Stats(); s.Usage[instrument.Used].Or(-1)+s.Usage[instrument.Idle].Or(-1)+s.Pending.Or(-1) != 0 {
			t.Errorf("after Close: %+v", s)
		}
	})
}

func TestResourcesAgainstTheModel(t *testing.T) {
	histories := 300
	if testing.Short() {
		histories = 30
	}
	for seed := range histories {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		moves := make([]byte, 80)
		for i := range moves {
			moves[i] = byte(random.IntN(256))
		}
		resPlayAll(t, moves)
		if t.Failed() {
			return
		}
	}
}

func FuzzResources(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 9, 9, 7, 8, 0, 14, 44})
	f.Add([]byte{3, 4, 20, 0, 12, 0, 0, 76, 9, 13, 9, 5, 30, 15, 238})
	f.Fuzz(func(t *testing.T, moves []byte) {
		resPlayAll(t, moves[:min(len(moves), 200)])
	})
}
