package harness

import (
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestSpreadIsTheMedianWithItsConfidenceInterval(t *testing.T) {
	// The ranks are those of the tables of the sign test: none to leave out below 9 values, one at 9, two at 12.
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
			t.Errorf("of %d values: %v, want %v", c.n, got, want)
		}
	}
}

// measured returns a result in which ours took the nanoseconds given and the peer 100, in each of 9 rounds.
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

func TestRatioIsTakenWithinARound(t *testing.T) {
	r := measured(50)
	for i := range 9 { // a machine that gets slower and slower
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
			t.Errorf("%+v: missed %q", c, got)
		}
	}
}

func TestWorseThanTheBaselineByMoreThanTheNoiseOfBoth(t *testing.T) {
	b, err := Load(filepath.Join(t.TempDir(), "none.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Worse(measured(1000)); got != nil {
		t.Errorf("without a baseline: %q", got)
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
			t.Errorf("%v: %q", c.ours, got)
		}
	}
}

func TestAddKeepsOtherCases(t *testing.T) {
	b := Baseline{Ratios: map[string]map[string]Spread{"other": {"peer": {1, 1, 1}}}}
	b.Add([]Result{measured(50)})
	if b.Ratios["other"]["peer"].Median != 1 || b.Ratios["case"]["peer"].Median != 0.5 {
		t.Errorf("ratios %v", b.Ratios)
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
		t.Errorf("cases %+v", got)
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
		t.Errorf("samples %v", results[0].Samples)
	}
	if made.Load() != stopped.Load() || done.Load() == 0 {
		t.Errorf("%d subjects made, %d stopped, %d operations", made.Load(), stopped.Load(), done.Load())
	}
	var table strings.Builder
	Table(&table, results)
	if rows := strings.Count(table.String(), "\n"); rows != 6 || !strings.Contains(table.String(), "| 1.00 | ") {
		t.Errorf("table:\n%s", table.String())
	}
	c.Bars[0].Peer = "nobody"
	if _, err := Run([]Case{c}, Settings{Rounds: 1}); err == nil {
		t.Error("a bar against nobody is accepted")
	}
}

func TestParallelSharesAllOperations(t *testing.T) {
	var done, goroutines atomic.Int64
	Parallel(8, 101, func(n int) {
		done.Add(int64(n))
		goroutines.Add(1)
	})
	if done.Load() != 101 || goroutines.Load() != 8 {
		t.Errorf("%d operations by %d goroutines", done.Load(), goroutines.Load())
	}
}
