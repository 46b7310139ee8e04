package harness

import (
	"context"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
)

func TestSpreadIsTheMedianWithItsConfidenceInterval(t *testing.T) {
	// The ranks are those in tables of the sign test. With up to 8 values, none is left out at
	// either end; with 9 to 11, one is; from 12 on, two or more are.
	for _, c := range []struct {
		n         int
		low, high float64
	}{{1, 1, 1}, {2, 1, 2}, {5, 1, 5}, {8, 1, 8}, {9, 2, 8}, {11, 2, 10}, {12, 3, 10}, {15, 4, 12}, {25, 8, 18}} {
		var values []float64
		for i := range c.n {
			values = append(values, float64(c.n-i))
		}
		want := Spread{Median: float64(c.n+1) / 2, Low: c.low, High: c.high}
		if got := spread(values); got != want {
			t.Errorf("spread of %d values: got %v, want %v", c.n, got, want)
		}
	}
}

// measured returns a result of 9 rounds, in each of which our subject took the given nanoseconds
// and the peer took 100.
func measured(ours ...float64) Result {
	r := Result{
		Case:    Case{Name: "case", Subjects: []Subject{{Name: "ours"}, {Name: "peer"}}},
		Samples: make([][]Sample, 2),
	}
	for i := range 9 {
		r.Samples[0] = append(r.Samples[0], Sample{CPU: ours[i%len(ours)]})
		r.Samples[1] = append(r.Samples[1], Sample{CPU: 100})
	}
	return r
}

func TestRatioIsComputedWithinARound(t *testing.T) {
	r := measured(50)
	for i := range 9 { // a machine that keeps getting slower
		r.Samples[0][i].CPU *= math.Pow(2, float64(i))
		r.Samples[1][i].CPU *= math.Pow(2, float64(i))
	}
	if got, want := r.against(1, CPU, 0), (Spread{0.5, 0.5, 0.5}); got != want {
		t.Errorf("ratio %v, want %v", got, want)
	}
}

func TestBars(t *testing.T) {
	for _, c := range []struct {
		ours, bytes float64
		bar         Bar
		missed      bool
	}{
		{ours: 70, bar: Bar{Peer: "peer", Ratio: 0.7}},
		{ours: 71, bar: Bar{Peer: "peer", Ratio: 0.7}, missed: true},
		{ours: 110, bar: Bar{Peer: "peer", Ratio: 1, Plus: 10 * time.Nanosecond}},
		{ours: 111, bar: Bar{Peer: "peer", Ratio: 1, Plus: 10 * time.Nanosecond}, missed: true},
		{ours: 1, bytes: 0.9, bar: Bar{Peer: "peer", Ratio: 1}},
		{ours: 1, bytes: 1, bar: Bar{Peer: "peer", Ratio: 1}, missed: true},
	} {
		r := measured(c.ours)
		r.Case.Bars, r.Case.NoAlloc = []Bar{c.bar}, true
		for i := range r.Samples[0] {
			r.Samples[0][i].Bytes = c.bytes
		}
		if got := r.Missed(); (len(got) > 0) != c.missed {
			t.Errorf("%+v: Missed returned %q", c, got)
		}
	}
}

func TestWorseThanTheBaselineByMoreThanTheNoiseOfBoth(t *testing.T) {
	b, err := Load(filepath.Join(t.TempDir(), "none.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Worse(measured(1000)); got != nil {
		t.Errorf("Worse without a baseline: got %q, want nil", got)
	}
	path := filepath.Join(t.TempDir(), "baseline.json")
	b.Add([]Result{measured(50, 55, 60)})
	if err := b.Save(path); err != nil {
		t.Fatal(err)
	}
	if b, err = Load(path); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ours  []float64
		worse bool
	}{{[]float64{40}, false}, {[]float64{60, 70, 80}, false}, {[]float64{61}, true}} {
		if got := b.Worse(measured(c.ours...)); (len(got) > 0) != c.worse {
			t.Errorf("Worse for %v: got %q, want a line: %v", c.ours, got, c.worse)
		}
	}
}

func TestAddKeepsOtherCases(t *testing.T) {
	b := Baseline{Ratios: map[string]map[string]Spread{"other": {"peer": {1, 1, 1}}}}
	b.Add([]Result{measured(50)})
	if b.Ratios["other"]["peer"].Median != 1 || b.Ratios["case"]["peer"].Median != 0.5 {
		t.Errorf("ratios %v, want 1 for other and 0.5 for case", b.Ratios)
	}
}

func TestCasesAreRunWithEachValueOfGOMAXPROCS(t *testing.T) {
	all := runtime.NumCPU()
	got := expand([]Case{{Name: "a"}, {Name: "b", Procs: []int{1, 0, all, all + 1}}})
	var procs []int
	for _, c := range got {
		procs = append(procs, c.Procs...)
	}
	want := slices.Compact([]int{all, 1, all})
	if all == 1 {
		want = []int{1, 1}
	}
	if !slices.Equal(procs, want) || got[0].Name != "a" || got[1].Name != "b, GOMAXPROCS 1" {
		t.Errorf("expand returned %+v", got)
	}
}

func TestRunMeasuresEverySubjectInEveryRound(t *testing.T) {
	var made, stopped, done atomic.Int64
	subject := func(name string) Subject {
		return Subject{Name: name, New: func() (func(int), func()) {
			made.Add(1)
			return func(n int) {
				Parallel(3, n, func(n int) { done.Add(int64(n)) })
				time.Sleep(time.Duration(n) * time.Microsecond)
			}, func() { stopped.Add(1) }
		}}
	}
	c := Case{Name: "case", Subjects: []Subject{subject("a"), subject("b")}, Bars: []Bar{{Peer: "b", Ratio: 1}}}
	results, err := Run([]Case{c}, Settings{Rounds: 3, Time: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if len(results[0].Samples[0]) != 3 || len(results[0].Samples[1]) != 3 {
		t.Errorf("samples %v, want 3 for each subject", results[0].Samples)
	}
	if made.Load() != stopped.Load() || done.Load() == 0 {
		t.Errorf("%d subjects made, %d stopped, %d operations", made.Load(), stopped.Load(), done.Load())
	}
	var table strings.Builder
	Table(&table, results)
	if rows := strings.Count(table.String(), "\n"); rows != 6 || !strings.Contains(table.String(), "| 1.00 | ") {
		t.Errorf("want 6 lines with a ratio of 1.00, got\n%s", table.String())
	}
	c.Bars[0].Peer = "unknown"
	if _, err := Run([]Case{c}, Settings{Rounds: 1}); err == nil {
		t.Error("a target relative to an unknown peer is accepted, want an error")
	}
}

func TestParallelSharesAllOperations(t *testing.T) {
	var done, goroutines atomic.Int64
	Parallel(8, 101, func(n int) {
		done.Add(int64(n))
		goroutines.Add(1)
	})
	if done.Load() != 101 || goroutines.Load() != 8 {
		t.Errorf("%d operations by %d goroutines, want 101 by 8", done.Load(), goroutines.Load())
	}
}

func TestBarsOfOtherFigures(t *testing.T) {
	ours := Sample{Wall: 110, Max: 200, Bytes: 4096, Count: 3}
	peer := Sample{Wall: 100, Max: 100, Bytes: 1, Count: 0}
	r := Result{
		Case:    Case{Subjects: []Subject{{Name: "ours"}, {Name: "peer"}}},
		Samples: [][]Sample{{ours, ours, ours}, {peer, peer, peer}},
	}
	for _, c := range []struct {
		bar  Bar
		met  bool
		text string
	}{
		{Bar{Peer: "peer", Of: Wall, Ratio: 1, Plus: 10}, true, "wall 1.00 + 10ns"},
		{Bar{Peer: "peer", Of: Wall, Ratio: 1, Plus: 9}, false, "wall 1.00 + 9ns"},
		{Bar{Peer: "peer", Of: Max, Ratio: 2}, true, "max 2.00"},
		{Bar{Peer: "peer", Of: Max, Ratio: 1.9}, false, "max 1.90"},
		{Bar{Of: Bytes, Most: 4096}, true, "B 4096"},
		{Bar{Of: Bytes, Most: 4095}, false, "B 4095"},
		{Bar{Of: Count, Most: 0}, false, "count 0"},
		{Bar{Of: Wall, Most: 110}, true, "wall 110ns"},
		{Bar{Of: Wall, Most: 109}, false, "wall 109ns"},
	} {
		r.Case.Bars = []Bar{c.bar}
		if r.met(c.bar) != c.met || c.bar.String() != c.text || (len(r.Missed()) == 0) != c.met {
			t.Errorf("%v: met %v, want %v, missed %q", c.bar, r.met(c.bar), c.met, r.Missed())
		}
	}
}

func TestSpinUsesAboutTheGivenCPUTime(t *testing.T) {
	Calibrate()
	// other processes change the speed, but not by that much
	if v := spun(); v < 0.2 || v > 5 {
		t.Errorf("spinning for a nanosecond took %v ns of CPU time, want 0.2 to 5", v)
	}
}

// oneSlot is a pool with one slot. It serves its waiters first in, first out or, if lifo is true,
// last in, first out.
type oneSlot struct {
	mu    sync.Mutex
	taken bool
	queue []chan struct{}
	lifo  bool
}

func (p *oneSlot) use(hold func()) {
	p.mu.Lock()
	if p.taken {
		served := make(chan struct{})
		p.queue = append(p.queue, served)
		p.mu.Unlock()
		<-served
	} else {
		p.taken = true
		p.mu.Unlock()
	}
	hold()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.taken = false
		return
	}
	next := 0
	if p.lifo {
		next = len(p.queue) - 1
	}
	close(p.queue[next])
	p.queue = slices.Delete(p.queue, next, next+1)
}

func TestOvertakenDistinguishesAQueueFromAStack(t *testing.T) {
	// with one processor, a thread that the kernel preempts cannot be overtaken by another one
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	Calibrate()
	count := func(lifo bool) float64 {
		p := &oneSlot{lifo: lifo}
		return Overtaken("", "", func() (func(func()), func()) { return p.use, func() {} }).Measure(4000).Count
	}
	if n := count(true); n < 100 {
		t.Errorf("stack: %v requests overtaken, want at least 100", n)
	}
	if n := count(false); n > 20 { // a goroutine may be preempted between reading the time and locking
		t.Errorf("queue: %v requests overtaken, want at most 20", n)
	}
}

// A goroutine that is preempted just before its request is not counted as overtaken by the next
// one.
func TestLaterFirstAwaitsTheWaiter(t *testing.T) {
	const trials = 5
	permit := semaphore.NewWeighted(1)
	must(permit.Acquire(t.Context(), 1))
	var calls atomic.Int64
	open := func() Gate {
		return Gate{
			Acquire: func(ctx context.Context) error {
				if calls.Add(1)%3 == 1 { // the request that must wait
					time.Sleep(time.Millisecond)
				}
				return permit.Acquire(ctx, 1)
			},
			Release: func() { permit.Release(1) },
			Waits:   func() bool { return !permit.TryAcquire(0) },
			Stop:    func() { permit.Release(1) },
		}
	}
	if s := LaterFirst("", "", open).Measure(trials); s.Count != 0 {
		t.Errorf("queue: %v of %d requests overtaken, want 0", s.Count, trials)
	}
}

func TestLatencyIsThatOfTheGate(t *testing.T) {
	slots := make(chan struct{}, 1)
	open := func() Gate {
		slots <- struct{}{}
		return Gate{
			Acquire: func(ctx context.Context) error {
				select {
				case slots <- struct{}{}:
					return nil
				case <-ctx.Done():
					time.Sleep(30 * time.Millisecond) // the delay of this request
					return ctx.Err()
				}
			},
			Release: func() {
				time.Sleep(5 * time.Millisecond)
				<-slots
			},
			Stop: func() { <-slots },
		}
	}
	if s := HandOver("", "", 2, open).Measure(3); s.Wall < 5e6 || s.Max < s.Wall {
		t.Errorf("hand-over: %+v, want at least 5 ms", s)
	}
	if s := Deadline("", "", 2, open).Measure(3); s.Wall < 30e6 || s.Max < s.Wall {
		t.Errorf("deadline: %+v, want at least 30 ms", s)
	}
}

func TestAtRateExcludesSpinning(t *testing.T) {
	Calibrate()
	use := func() { Spin(5 * time.Microsecond) }
	s := AtRate("", "", 100*time.Microsecond, func() (func(), func()) { return use, nil }).Measure(100)
	if s.Wall < 1e3 || s.Wall > 50e3 { // wide limits, since other processes may interrupt the test
		t.Errorf("a use of 5 µs took %v ns, want 1,000 to 50,000", s.Wall)
	}
}
