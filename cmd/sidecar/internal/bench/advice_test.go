package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// measured returns a row that was measured once at each of the given rates.
func measured(model string, size int, rates ...float64) Row {
	r := Row{Model: model, Size: size}
	for _, rate := range rates {
		r.runs = append(r.runs, run{rate: rate, p50: time.Millisecond, cpu: time.Millisecond, cpuKnown: true})
	}
	r.summarize()
	return r
}

func TestAdviceNamesTheLimit(t *testing.T) {
	row := func(model string, size int, rate, used float64) Row {
		r := measured(model, size, rate)
		r.CPUs, r.Memory = used*cpus(), 1<<20
		return r
	}
	goroutines := row(Goroutines, 0, 9, 1)
	goroutines.Memory = 1 << 30
	for name, c := range map[string]struct {
		rows      []Row
		throttled float64
		want      string
	}{
		"no pool gains a tenth": {[]Row{row(Sequential, 1, 100, 1), row(Workers, 2, 105, 1)}, 0, "sequentially"},
		"the smallest pool with nine tenths": {
			[]Row{row(Sequential, 1, 100, 0.5), row(Workers, 2, 190, 1), row(Workers, 4, 199, 1)}, 0, "Use 2 workers: 1.9 × sequential; more workers add less",
		},
		"all CPUs used": {
			[]Row{row(Sequential, 1, 100, 0.5), row(Workers, 2, 190, 1), row(Workers, 4, 199, 1)}, 0, "The CPUs are the limit",
		},
		"other processes": {
			[]Row{row(Sequential, 1, 100, 0.5), row(Workers, 2, 190, 0.6), row(Workers, 4, 199, 0.6)}, 0, "other processes took the rest",
		},
		"a quota":                       {[]Row{row(Sequential, 1, 100, 0.2), row(Workers, 2, 101, 0.2)}, 0.9, "CPU quota of 0.5 CPUs is the limit, not the code"},
		"a quota that rarely throttles": {[]Row{row(Sequential, 1, 100, 0.2), row(Workers, 2, 101, 0.2)}, 0.1, "other processes took the rest"},
		"a busy machine":                {[]Row{row(Sequential, 1, 100, 0.2), row(Workers, 2, 101, 0.4)}, 0, fmt.Sprintf("got %.2g of", 0.4*cpus())},
		"the largest is best": {
			[]Row{row(Sequential, 1, 100, 0.5), row(Workers, 2, 190, 0.6)}, 0, "still rising",
		},
		"goroutines take memory": {[]Row{row(Sequential, 1, 1, 0.1), row(Workers, 2, 2, 1), goroutines}, 0, "1024 MiB of memory"},
		"nothing was measured":   {nil, 0, "Nothing was measured"},
	} {
		w := WorkReport{Rows: c.rows, Throttled: c.throttled}
		w.conclude(0.5)
		if !strings.Contains(w.Advice, c.want) {
			t.Errorf("%s: the advice is %q, want %q in it", name, w.Advice, c.want)
		}
	}
}

// recommendedSize returns the size that is recommended for the rows.
func recommendedSize(rows ...Row) int {
	w := WorkReport{Rows: rows}
	w.conclude(0)
	return w.Size
}

// Other processes that take CPU time in fewer than half of the rounds do not change the
// recommendation.
func TestTheMajorityOfRoundsDecides(t *testing.T) {
	four := measured(Workers, 4, 98, 99, 100, 101, 97)
	if got := recommendedSize(measured(Workers, 2, 50, 99, 100, 60, 55), four); got != 4 {
		t.Errorf("two workers were slow in three of five rounds: %d workers recommended, want 4", got)
	}
	if got := recommendedSize(measured(Workers, 2, 50, 99, 100, 98, 55), four); got != 2 {
		t.Errorf("two workers were slow in two of five rounds: %d workers recommended, want 2", got)
	}
}

// A disk that becomes ten times as fast during the run changes neither the recommendation nor the
// gain: sizes are compared within each round, even if the last round of a row is missing.
func TestADriftingDiskChangesNothing(t *testing.T) {
	rates := func(base float64, drift ...float64) []float64 {
		for i := range drift {
			drift[i] *= base
		}
		return drift
	}
	w := WorkReport{Rows: []Row{
		measured(Sequential, 1, rates(100, 1, 2, 4, 8, 10)...),
		measured(Workers, 2, rates(200, 1, 2, 4, 8, 10)...),
		measured(Workers, 4, rates(390, 1, 2, 4, 8)...),
		measured(Workers, 8, rates(400, 1, 2, 4, 8, 10)...),
	}}
	w.conclude(0)
	if w.Size != 4 || w.row(Workers).SpeedUp != 2 || w.Rows[2].SpeedUp != 3.9 ||
		strings.Contains(w.Advice, "uncertain") {
		t.Errorf("got %+v, want four workers with a gain of 3.9, not called uncertain", w)
	}
}

// The recommendation is the same from run to run, although rounds differ in speed and measurements
// are noisy.
func TestTheRecommendationIsRepeatable(t *testing.T) {
	curve := []float64{1, 1.9, 3.5, 6.4, 9, 9.4, 9.3} // the knee is at 16 workers
	counts := map[int]int{}
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 0))
		rates := make([][]float64, len(curve))
		for range 11 {
			drift := math.Exp(rng.NormFloat64())
			for i, rate := range curve {
				rates[i] = append(rates[i], rate*drift*(1+0.08*rng.NormFloat64()))
			}
		}
		rows := []Row{measured(Sequential, 1, rates[0]...)}
		for i := 1; i < len(curve); i++ {
			rows = append(rows, measured(Workers, 1<<i, rates[i]...))
		}
		counts[recommendedSize(rows...)]++
	}
	if counts[16] < 95 {
		t.Errorf("recommendations by size: %v, want size 16 in at least 95 of 100 runs", counts)
	}
}

func TestAdviceFromRoundsThatDifferIsUncertain(t *testing.T) {
	steady := measured(Sequential, 1, 10, 10, 10, 10, 10)
	varying := measured(Workers, 4, 60, 60, 100, 140, 140)
	for name, rows := range map[string][]Row{
		"no sequential runs": {varying}, "the gain differs": {steady, varying}, "sequential runs differ": {measured(Sequential, 1, 60, 60, 100, 140, 140)},
	} {
		w := WorkReport{Rows: rows}
		w.conclude(0)
		if !strings.Contains(w.Advice, "uncertain: the gain differed by ±40%") {
			t.Errorf("%s: the advice is not called uncertain: %q", name, w.Advice)
		}
	}
}

func TestAdviceForWaitingTasksDoesNotBlameOtherProcesses(t *testing.T) {
	one, two := measured(Sequential, 1, 100), measured(Workers, 2, 200)
	one.P50, one.CPUs, two.P50, two.CPUs = 0.01, 0.1, 0.01, 0.2
	w := WorkReport{Rows: []Row{one, two}}
	w.conclude(0)
	if !strings.Contains(w.Advice, "The CPUs are not the limit") {
		t.Errorf("the advice does not rule out the CPUs: %q", w.Advice)
	}
}
