package sizing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"
)

// randomModel draws a model of the given class. Times are log-uniform.
func randomModel(class string, rng *rand.Rand) model {
	between := func(lo, hi float64) float64 { return lo * math.Pow(hi/lo, rng.Float64()) }
	cpu := between(0.1e-3, 20e-3)
	m := model{cpus: between(0.5, 16), before: cpu, cvCPU: rng.Float64(), cvBlocked: rng.Float64()}
	switch class {
	case "cpu":
		m.blocked = cpu * 0.05 * rng.Float64()
	case "mixed":
		m.blocked = cpu * between(0.1, 20)
	case "lock":
		m.cpus = between(2, 16)
		// The lock is the bottleneck by a clear margin: the fraction of a task for which it is held
		// is larger than 1/m.cpus.
		share := min(0.9, between(1.3, 5)/m.cpus)
		m.locked, m.before = cpu*share, cpu*(1-share)
		m.blocked = cpu * between(0.1, 5)
	}
	return m
}

// observe returns the demand that is derived from the metrics of a pool of n workers.
func (m model) observe(t testing.TB, n int, seed uint64) Demand {
	t.Helper()
	s := m.run(n, 4000, seed)
	d, err := Observation{
		Used: float64(n), Rate: s.rate, Wall: seconds(s.wall), CPU: seconds(s.cpu), RunDelay: seconds(s.runDelay),
		LockWait: seconds(s.lockWait), CPUs: m.cpus,
	}.Demand()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

var currentSizes = []int{2, 16, 64}

// The recommendation is near the knee and does not depend on the current size. There is one
// exception: two workers with regular tasks fall into step and rarely compete for their lock, so
// that the waits understate the demand for it. The recommendation is then too large, and becomes
// right once it is followed.
func TestRecommendationIsIndependentOfTheCurrentSize(t *testing.T) {
	perClass := 100
	if raceEnabled {
		perClass = 34
	}
	good, steady, all := 0, 0, 0
	for c, class := range []string{"cpu", "mixed", "lock"} {
		rng := rand.New(rand.NewPCG(16, uint64(c)))
		var ratios []float64
		for i := range perClass {
			m, seed := randomModel(class, rng), uint64(1000*c+i)
			knee := float64(m.knee(3000, seed))
			var sizes []float64
			for _, n := range currentSizes {
				d := m.observe(t, n, seed)
				size, err := d.Slots()
				if err != nil {
					t.Fatal(err)
				}
				sizes = append(sizes, float64(size))
				if class == "cpu" && float64(size) > 2*m.cpus+1 {
					t.Errorf("CPU-bound, %.2f CPUs, currently %d workers: got recommendation %d", m.cpus, n, size)
				}
			}
			all++
			if within(sizes, knee, 0.8, 1.6) {
				good++
			}
			switch {
			case near(sizes...):
				steady++
			case class == "lock" && near(sizes[1:]...) && sizes[0] > sizes[1]:
				again, err := m.observe(t, int(sizes[0]), seed).Slots()
				if err != nil || !near(float64(again), sizes[1], sizes[2]) {
					t.Errorf(
						"%+v: got recommendations %v; after the one for 2 workers was followed, got %v, %v",
						m,
						sizes,
						again,
						err,
					)
				}
			default:
				t.Errorf("%s: %+v: got recommendations %v, and the knee is %v", class, m, sizes, knee)
			}
			sort.Float64s(sizes)
			ratios = append(ratios, sizes[1]/knee)
		}
		sort.Float64s(ratios)
		t.Log(class, "recommended ÷ knee, p5 p50 p95:", quantiles(ratios))
	}
	t.Logf(
		"%d of %d within 0.8–1.6 times the knee from every size; %d of %d within 25%% from sizes %v",
		good,
		all,
		steady,
		all,
		currentSizes,
	)
	if float64(good) < 0.85*float64(all) {
		t.Errorf("%d of %d recommendations are within 0.8–1.6 times the knee, want 85%%", good, all)
	}
	if float64(steady) < 0.95*float64(all) {
		t.Errorf("%d of %d recommendations are independent of the current size, want 95%%", steady, all)
	}
}

// near reports whether all sizes are within 25%, or one worker, of their median.
func near(sizes ...float64) bool {
	sorted := append([]float64(nil), sizes...)
	sort.Float64s(sorted)
	middle := sorted[len(sorted)/2]
	return sorted[len(sorted)-1]-middle <= max(1, 0.25*middle) && middle-sorted[0] <= max(1, 0.25*middle)
}

func within(sizes []float64, knee, lo, hi float64) bool {
	for _, s := range sizes {
		if s < lo*knee || s > hi*knee {
			return false
		}
	}
	return true
}

func quantiles(sorted []float64) string {
	at := func(p float64) float64 { return sorted[int(p*float64(len(sorted)-1))] }
	return fmt.Sprintf("%.2f %.2f %.2f", at(0.05), at(0.5), at(0.95))
}
