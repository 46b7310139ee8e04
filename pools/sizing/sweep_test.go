package sizing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// sweepModel draws a model of the given class whose knee can be found.
func sweepModel(class string, rng *rand.Rand) model {
	between := func(lo, hi float64) float64 { return lo * math.Pow(hi/lo, rng.Float64()) }
	cpu := between(1e-3, 10e-3)
	m := model{cpus: float64(2 + rng.IntN(15)), before: cpu, cvCPU: 0.5 * rng.Float64(), cvBlocked: rng.Float64()}
	switch class {
	case "mixed":
		m.blocked = cpu * between(1, 10)
	case "lock":
		share := min(0.9, between(1.5, 4)/m.cpus)
		m.locked, m.before = cpu*share, cpu*(1-share)
		m.blocked = cpu * between(0.5, 5)
	}
	return m
}

func TestSweepFindsTheKnee(t *testing.T) {
	seeds := 20
	if os.Getenv("E2E_FULL") != "" {
		seeds = 200
	} else if raceEnabled {
		seeds = 5
	}
	for _, neighbor := range []float64{0, 0.4} {
		for c, class := range []string{"cpu", "mixed", "lock"} {
			t.Run(fmt.Sprintf("%s, neighbor %v", class, neighbor), func(t *testing.T) {
				found, claims, wrong := 0, 0, 0
				for seed := range seeds {
					rng := rand.New(rand.NewPCG(uint64(seed), uint64(c)))
					ok, sure := findsKnee(t, sweepModel(class, rng), neighbor, uint64(seed))
					if ok {
						found++
					}
					if sure {
						claims++
					}
					if sure && !ok {
						wrong++
					}
				}
				t.Logf("found the knee in %d of %d seeds; it was clear in %d, and wrong in %d of these",
					found, seeds, claims, wrong)
				if off := seeds - found; off > max(1, seeds/20) {
					t.Errorf("missed the knee in %d of %d seeds, want at most one in 20", off, seeds)
				}
			})
		}
	}
}

// findsKnee reports whether a sweep finds the knee, and whether it claims that its answer is clear.
func findsKnee(t *testing.T, m model, neighbor float64, seed uint64) (found, claimed bool) {
	t.Helper()
	knee := m.knee(15_000, seed)
	b := newBench(m, neighbor, seed)
	r, err := sweep(t.Context(), b.measure, b.clock, SweepOptions{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	if r.Elapsed > time.Minute {
		t.Errorf("seed %d: the sweep took %v, want at most a minute", seed, r.Elapsed)
	}
	found = math.Abs(float64(r.Knee-knee)) <= 0.2*float64(knee)
	t.Logf("seed %d, found %v: %d (%d–%d, confidence %.2f, clear %v), the knee is %d, %d rounds in %.1fs, of %+v",
		seed, found, r.Knee, r.Low, r.High, r.Confidence, r.Clear, knee, r.Rounds, r.Elapsed.Seconds(), m)
	if found {
		return true, r.Clear
	}
	for _, p := range r.Curve {
		t.Logf("   %4d: %.1f ± %.1f%% (%d rounds)", p.Workers, p.Rate, 100*p.Error, p.Rounds)
	}
	return false, r.Clear
}
