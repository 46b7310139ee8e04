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

// resTrial runs the same operations on a pool and on its model. Each byte of moves encodes an
// operation.
type resTrial struct {
	t        *testing.T
	m        resModel
	p        *pools.Resources[string]
	requests []*resRequest // of the model
	real     []*resRequest // of the pool, at the same index

	mu        sync.Mutex // guards everything below
	destroyed []string
}

type resRequestKey struct{}

func newResTrial(t *testing.T) *resTrial {
	tr := &resTrial{t: t}
	tr.m = resModel{
		limit:   3,
		since:   map[string]time.Duration{},
		used:    map[string]bool{},
		ended:   map[string]int64{},
		maxIdle: 10 * time.Second,
	}
	construct := func(ctx context.Context) (string, error) {
		r, _ := ctx.Value(resRequestKey{}).(*resRequest)
		if r.bad {
			return "", errInjected
		}
		return r.name, nil
	}
	var err error
	tr.p, err = pools.NewResources(t.Name(), tr.m.limit, construct, pools.ResourcesConfig[string]{
		MaxIdleTime: tr.m.maxIdle,
		Destroy: func(name string) {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			tr.destroyed = append(tr.destroyed, name)
		},
	}, instrument.WithExactTiming())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// request makes the same request to the model and to the pool, with TryAcquire if try is set. If
// bad is set, the constructor fails.
func (tr *resTrial) request(bad, try bool) {
	r := &resRequest{name: fmt.Sprint("r", len(tr.requests)), bad: bad}
	mirror := *r
	ctx, cancel := context.WithCancel(context.WithValue(tr.t.Context(), resRequestKey{}, &mirror))
	mirror.cancel = cancel
	tr.requests, tr.real = append(tr.requests, r), append(tr.real, &mirror)
	if try {
		tr.m.try(r)
		lease, err := tr.p.TryAcquire(ctx)
		mirror.finish(lease, err)
		return
	}
	if !tr.m.take(r) {
		tr.m.waiting = append(tr.m.waiting, r)
	}
	go func() {
		lease, err := tr.p.Acquire(ctx)
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
	case errors.Is(err, errInjected):
		r.result = "error"
	default:
		r.result = err.Error()
	}
}

// move performs the operation that b encodes.
func (tr *resTrial) move(b byte) {
	switch arg := int(b / 16); b % 16 {
	case 0, 1, 2:
		tr.request(false, false)
	case 3:
		tr.request(true, false)
	case 4:
		tr.request(arg%4 == 0, true)
	case 5:
		tr.cancel(arg)
	case 6, 7, 8, 9, 10, 11:
		tr.finish(arg, b%16-6)
	case 12:
		tr.m.limit = 1 + arg%5
		for len(tr.m.idle) > 0 && tr.m.alive() > tr.m.limit {
			tr.m.end(tr.m.idle[0], "shrink")
			tr.m.idle = tr.m.idle[1:]
		}
		if err := tr.p.Resize(tr.m.limit); err != nil {
			tr.t.Error(err)
		}
	case 13:
		for _, name := range tr.m.idle {
			tr.m.end(name, "reset")
		}
		tr.m.idle = nil
		for name := range tr.m.used {
			tr.m.used[name] = true
		}
		tr.p.Reset()
	case 14:
		nap := time.Duration(1+arg) * time.Second
		time.Sleep(nap)
		tr.m.now += nap
	case 15:
		tr.lendAll()
	}
	tr.m.serveWaiters()
	tr.m.expire()
}

// cancel cancels the context of a waiting request.
func (tr *resTrial) cancel(arg int) {
	if len(tr.m.waiting) == 0 {
		return
	}
	i := arg % len(tr.m.waiting)
	r := tr.m.waiting[i]
	tr.m.waiting = slices.Delete(tr.m.waiting, i, i+1)
	tr.m.outcomes[instrument.Canceled]++
	r.result = "canceled"
	tr.real[slices.Index(tr.requests, r)].cancel()
}

// finish ends a use, and then checks that it cannot be ended again.
func (tr *resTrial) finish(arg int, how byte) {
	held := slices.Sorted(maps.Keys(tr.m.used))
	if len(held) == 0 {
		return
	}
	name := held[arg%len(held)]
	i := slices.IndexFunc(tr.real, func(r *resRequest) bool { return r.result == name && r.cancel != nil })
	lease := tr.real[i].lease
	tr.real[i].cancel()
	tr.real[i].cancel = nil // marks the use as ended
	switch how {
	case 0:
		tr.m.release(name, true)
		lease.ReleaseUnused()
	case 1:
		delete(tr.m.used, name)
		tr.m.end(name, "destroyed")
		lease.Destroy()
	case 2:
		delete(tr.m.used, name)
		tr.m.end(name, "hijacked")
		lease.Hijack()
	default:
		tr.m.release(name, false)
		lease.Release()
	}
	wantPanic(tr.t, lease.Release, "has ended")
}

// lendAll acquires all idle resources, and releases them unused.
func (tr *resTrial) lendAll() {
	tr.m.outcomes[instrument.Acquired] += int64(len(tr.m.idle))
	slices.Reverse(tr.m.idle)
	for _, l := range tr.p.AcquireAllIdle() {
		l.ReleaseUnused()
	}
}

// compare fails the test if the pool differs from the model.
func (tr *resTrial) compare(in *pooltest.Invariants, moves []byte) {
	tr.t.Helper()
	s := tr.p.Stats()
	if err := in.Check(s); err != nil {
		tr.t.Fatalf("after %v: %v", moves, err)
	}
	for i, r := range tr.requests {
		if r.result != tr.real[i].result {
			tr.t.Fatalf("after %v: request %s got %q, want %q", moves, r.name, tr.real[i].result, r.result)
		}
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	slices.Sort(tr.destroyed)
	slices.Sort(tr.m.destroyed)
	if !slices.Equal(tr.destroyed, tr.m.destroyed) {
		tr.t.Fatalf("after %v: destroyed %v, want %v", moves, tr.destroyed, tr.m.destroyed)
	}
	got := []int64{
		s.Limit.Or(-1),
		s.Usage[instrument.Used].Or(-1),
		s.Usage[instrument.Idle].Or(-1),
		s.Pending.Or(-1),
		eventCount(
			s,
			instrument.CreateFailed,
			"error",
		),
		eventCount(s, instrument.Ended, "idle"),
		eventCount(s, instrument.Ended, "reset"),
		eventCount(
			s,
			instrument.Ended,
			"shrink",
		),
		eventCount(s, instrument.Ended, "destroyed"),
		eventCount(s, instrument.Ended, "hijacked"),
	}
	want := []int64{
		int64(tr.m.limit),
		int64(len(tr.m.used)),
		int64(len(tr.m.idle)),
		int64(len(tr.m.waiting)),
		tr.m.failed,
		tr.m.ended["idle"],
		tr.m.ended["reset"],
		tr.m.ended["shrink"],
		tr.m.ended["destroyed"],
		tr.m.ended["hijacked"],
	}
	for i, n := range tr.m.outcomes {
		got, want = append(got, s.Requests[i].Or(-1)), append(want, n)
	}
	if !slices.Equal(got, want) {
		tr.t.Fatalf("after %v: pool and model differ:\n got %v\nwant %v", moves, got, want)
	}
}

// runResTrial makes the moves, then closes the pool and ends all uses.
func runResTrial(t *testing.T, moves []byte) {
	synctest.Test(t, func(t *testing.T) {
		tr := newResTrial(t)
		in := pooltest.Invariants{Shrinks: true}
		for i, b := range moves {
			tr.move(b)
			synctest.Wait()
			tr.compare(&in, moves[:i+1])
		}
		closed := make(chan struct{})
		go func() {
			tr.p.Close()
			close(closed)
		}()
		synctest.Wait()
		for i, r := range tr.requests {
			if _, held := tr.m.used[r.result]; held && tr.real[i].cancel != nil {
				tr.real[i].lease.Release()
			}
			if tr.real[i].result == "" {
				t.Errorf("request %s is still waiting after Close", r.name)
			}
		}
		<-closed
		if s := tr.p.Stats(); s.Usage[instrument.Used].Or(-1)+s.Usage[instrument.Idle].Or(-1)+s.Pending.Or(-1) != 0 {
			t.Errorf("after Close: %+v, want 0 used, 0 idle and 0 pending", s)
		}
	})
}

func TestResourcesAgainstModel(t *testing.T) {
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
		runResTrial(t, moves)
		if t.Failed() {
			return
		}
	}
}

func FuzzResources(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 9, 9, 7, 8, 0, 14, 44})
	f.Add([]byte{3, 4, 20, 0, 12, 0, 0, 76, 9, 13, 9, 5, 30, 15, 238})
	f.Fuzz(func(t *testing.T, moves []byte) {
		runResTrial(t, moves[:min(len(moves), 200)])
	})
}
