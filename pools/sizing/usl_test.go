package sizing

import (
	"math"
	"math/rand/v2"
	"testing"
)

func uslPoints(u USL, noise float64, seed uint64) []Point {
	rng := rand.New(rand.NewPCG(seed, 0))
	var points []Point
	for _, n := range []int{1, 2, 4, 8, 16, 32, 64, 128} {
		points = append(points, Point{Workers: n, Rate: u.Throughput(float64(n)) * (1 + noise*rng.NormFloat64())})
	}
	return points
}

func TestFitUSLFindsItsOwnCurve(t *testing.T) {
	for _, want := range []USL{
		{Rate: 120, Contention: 0.04, Coherency: 0.0005},
		{Rate: 0.3, Contention: 0.2},
		{Rate: 1e6, Coherency: 0.01},
		{Rate: 50},
	} {
		got, err := FitUSL(uslPoints(want, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got.Rate/want.Rate-1) > 1e-6 || math.Abs(got.Contention-want.Contention) > 1e-6 ||
			math.Abs(got.Coherency-want.Coherency) > 1e-8 || got.R2 < 1-1e-9 {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestFitUSLFindsThePeakDespiteNoise(t *testing.T) {
	want := USL{Rate: 100, Contention: 0.05, Coherency: 0.001} // peak 30.8
	for seed := range uint64(20) {
		got, err := FitUSL(uslPoints(want, 0.03, seed))
		if err != nil {
			t.Fatal(err)
		}
		if got.Peak() < 0.8*want.Peak() || got.Peak() > 1.2*want.Peak() {
			t.Errorf("seed %d: got a peak at %.1f, want %.1f ± 20%%", seed, got.Peak(), want.Peak())
		}
		if got.R2 > 1 {
			t.Errorf("seed %d: got R2 %v, want at most 1", seed, got.R2)
		}
	}
}

func TestPeakOfACurveThatLevelsOffOrFalls(t *testing.T) {
	if got := (USL{Rate: 1, Contention: 0.1}).Peak(); !math.IsInf(got, 1) {
		t.Errorf("without coherency: got a peak at %v, want +Inf", got)
	}
	if got := (USL{Rate: 1, Contention: 0.1, Coherency: 2}).Peak(); got != 1 {
		t.Errorf("with high coherency: got a peak at %v, want 1", got)
	}
}

func TestFitUSLRejectsInvalidPoints(t *testing.T) {
	for name, points := range map[string][]Point{
		"too few sizes": {{1, 10}, {2, 19}, {2, 20}},
		"size 0":        {{0, 10}, {2, 19}, {4, 20}},
		"no rate":       {{1, 0}, {2, 19}, {4, 20}},
		"NaN":           {{1, math.NaN()}, {2, 19}, {4, 20}},
		"infinite":      {{1, 10}, {2, math.Inf(1)}, {4, 20}},
	} {
		if u, err := FitUSL(points); err == nil {
			t.Errorf("%s: got %+v, want an error", name, u)
		}
	}
}

// With noise, the least-squares fit of a curve that only levels off often has a negative
// coefficient.
func TestFitUSLHasNoNegativeCoefficient(t *testing.T) {
	want := USL{Rate: 100, Contention: 0.05}
	for seed := range uint64(20) {
		got, err := FitUSL(uslPoints(want, 0.03, seed))
		if err != nil || got.Contention < 0 || got.Coherency < 0 ||
			math.Abs(got.Throughput(64)/want.Throughput(64)-1) > 0.1 {
			t.Errorf("seed %d: got %+v, %v, want about %+v", seed, got, err, want)
		}
	}
}
