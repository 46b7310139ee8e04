package peers

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
)

// The tests check what a fair comparison needs: every pool runs all uses, and as many at once as it
// was given slots.
const size, uses = 3, 21

// meeting counts uses. A use waits until size uses run or the last one has started, and then a
// little longer, so that a use that should not have started is noticed.
type meeting struct {
	mu                      sync.Mutex
	started, now, max, done int
	all                     chan struct{} // closed when the uses that wait may go on
}

func newMeeting() *meeting { return &meeting{all: make(chan struct{})} }

func (m *meeting) use() {
	m.mu.Lock()
	all := m.all
	m.started++
	m.now++
	m.max = max(m.max, m.now)
	if m.now == size || m.started == uses {
		close(all)
		m.all = make(chan struct{})
	}
	m.mu.Unlock()
	select {
	case <-all:
		time.Sleep(2 * time.Millisecond)
	case <-time.After(10 * time.Second):
	}
	m.mu.Lock()
	m.now--
	m.done++
	m.mu.Unlock()
}

func (m *meeting) check(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done != uses || m.max != size || m.now != 0 {
		t.Errorf(
			"%d uses ended, at most %d ran at once, %d still run; want %d, %d and 0",
			m.done,
			m.max,
			m.now,
			uses,
			size,
		)
	}
}

// together runs all uses, each on a goroutine of its own.
func (m *meeting) together(t *testing.T, use func(between func())) {
	t.Helper()
	var wg sync.WaitGroup
	for range uses {
		wg.Go(func() { use(m.use) })
	}
	wg.Wait()
	m.check(t)
}

func TestWorkerPoolsRunAllTasks(t *testing.T) {
	all := maps.Clone(WorkerPools)
	all["ours"], all["ours with OpenTelemetry"] = Ours(), OurOTel
	for name, create := range all {
		t.Run(name, func(t *testing.T) {
			m := newMeeting()
			w := create(size)
			var running sync.WaitGroup // gopool cannot wait for its tasks
			running.Add(uses)
			task := NewTask(func() { defer running.Done(); m.use() })
			for range uses {
				w.Submit(task)
			}
			running.Wait()
			w.Stop()
			m.check(t)
		})
	}
}

func TestGroupsRunAllTasks(t *testing.T) {
	w := Ours()(size)
	defer w.Stop()
	m := newMeeting()
	g := OnWorkers(w)()
	for range uses {
		g.Go(func() error { m.use(); return nil })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	m.check(t)
}

// countedGroup counts tasks.
type countedGroup struct {
	Goer
	tasks *int
}

func (g countedGroup) Go(f func() error) { *g.tasks++; g.Goer.Go(f) }

func TestPipelinesHaveAGroupPerThousandItems(t *testing.T) {
	groups, tasks, stopped := 0, 0, false
	open := func() (newGroup func() Goer, stop func()) {
		return func() Goer { groups++; return countedGroup{new(errgroup.Group), &tasks} }, func() { stopped = true }
	}
	use, stop := Pipeline("test", open).New()
	use(2*items + 1)
	stop()
	if groups != 3 || tasks != 6 || !stopped {
		t.Errorf("%d groups and %d tasks, stopped: %v; want 3, 6 and true", groups, tasks, stopped)
	}
}

func TestLendersLendEveryResource(t *testing.T) {
	for name, create := range map[string]func(int) Lender{
		"ours": func(n int) Lender { return OurLender(n) }, "puddle": Puddle,
		"channel": ChannelPool, "go-commons-pool": CommonsPool,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			p := create(size)
			defer p.Close()
			p.Fill()
			newMeeting().together(t, func(between func()) { p.Use(ctx, between) })
			newMeeting().together(t, func(between func()) {
				giveBack, err := p.Borrow(ctx)
				must(err)
				between()
				giveBack()
			})
			p.Use(ctx, nil)
			var back []func()
			for range size {
				giveBack, err := p.Borrow(ctx)
				must(err)
				back = append(back, giveBack)
			}
			short, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			if _, err := p.Borrow(short); err == nil || short.Err() == nil { // go-commons-pool has its own error
				t.Errorf("one resource too many: %v", err)
			}
			for _, giveBack := range back {
				giveBack()
			}
		})
	}
}

func TestSemaphoresAdmitAsManyAsTheyHavePermits(t *testing.T) {
	for name, s := range map[string]Permits{
		"ours": Semaphore(size), "x/sync": XSync(size), "channel": ChannelPermits(size),
	} {
		t.Run(name, func(t *testing.T) {
			newMeeting().together(t, func(between func()) {
				must(s.Acquire(t.Context(), 1))
				between()
				s.Release(1)
			})
			for range size {
				if !s.TryAcquire(1) {
					t.Fatal("a permit is missing")
				}
			}
			if s.TryAcquire(1) {
				t.Fatal("one permit too many")
			}
			short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := s.Acquire(short, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("one permit too many: %v", err)
			}
		})
	}
}

func TestGatesServeARequestAtEachRelease(t *testing.T) {
	ours := Semaphore(1)
	for name, g := range map[string]harness.Gate{
		"our semaphore":     PermitGate(ours, ours.Close),
		"x/sync":            PermitGate(XSync(1), nil),
		"our resources":     LenderGate(OurLender(1)),
		"puddle":            LenderGate(Puddle(1)),
		"channel":           LenderGate(ChannelPool(1)),
		"our workers":       SubmitGate(OurSubmit()),
		"workers (channel)": SubmitGate(ChannelSubmit()),
	} {
		t.Run(name, func(t *testing.T) {
			short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer cancel()
			if err := g.Acquire(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("a request was served before a release: %v", err)
			}
			for range 3 {
				served := make(chan error, 1)
				go func() { served <- g.Acquire(t.Context()) }()
				for g.Waits != nil && !g.Waits() {
					time.Sleep(100 * time.Microsecond)
				}
				g.Release()
				if err := <-served; err != nil {
					t.Fatal(err)
				}
				if g.Waits != nil && g.Waits() {
					t.Error("a request that was served still waits")
				}
			}
			g.Stop()
		})
	}
}
