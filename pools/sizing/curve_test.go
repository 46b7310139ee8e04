package sizing

import (
	"math"
	"slices"
	"testing"
)

// exact returns samples of a curve without noise. In each round, all rates are multiplied by one of
// the given factors.
func exact(rate func(workers int) float64, rounds []float64, sizes ...int) samples {
	s := samples{}
	for round, factor := range rounds {
		for _, n := range sizes {
			s.add(n, round, rate(n)*factor)
		}
	}
	return s
}

// upTo8 returns a rate that rises up to 8 workers.
func upTo8(n int) float64 { return 100 * float64(min(n, 8)) }

// A slow round does not bend the curve, even if a size was not measured in it.
func TestEstimatesDoNotDependOnRounds(t *testing.T) {
	s := exact(upTo8, []float64{1, 0.5, 2, 0.1, 1, 3}, 1, 2, 4, 8, 16)
	delete(s[4], 3)
	delete(s[16], 5)
	points := s.estimates()
	for _, p := range points {
		want := math.Log(upTo8(p.workers) / upTo8(1))
		if math.Abs(p.log-points[0].log-want) > 1e-3 || p.se > 1e-3 {
			t.Errorf(
				"%d workers: got a log rate of %.3f ± %.3f above that of one worker, want %.3f",
				p.workers, p.log-points[0].log, p.se, want,
			)
		}
	}
}

func TestTypicalAndItsError(t *testing.T) {
	for _, c := range []struct {
		values         []float64
		typical, error float64
	}{
		{nil, 0, 0.1},
		{[]float64{3}, 3, 0.1},
		{[]float64{1, 5}, 5, 0.1},
		{[]float64{1, 2, 9}, 9, 1.1 * 8 / 1.35 / math.Sqrt(3)},
		{[]float64{20, 1, 1, 1, 1, 1, 1, 4, 6, 8}, 6, 1.1 * 5 / 1.35 / math.Sqrt(10)}, // mean of 4, 6 and 8, not 20
	} {
		if got := typical(c.values); math.Abs(got-c.typical) > 1e-9 {
			t.Errorf("typical(%v) = %v, want %v", c.values, got, c.typical)
		}
		slices.Sort(c.values)
		if got := standardError(c.values); math.Abs(got-c.error) > 1e-9 {
			t.Errorf("standardError(%v) = %v, want %v", c.values, got, c.error)
		}
	}
}

func TestBracketInterpolatesTheKnee(t *testing.T) {
	for name, c := range map[string]struct {
		rate        func(int) float64
		sizes       []int
		below, knee int
	}{
		"between two sizes":  {upTo8, []int{1, 2, 4, 16}, 4, 15},
		"at a measured size": {upTo8, []int{1, 2, 4, 8, 16}, 4, 8},
		"one worker":         {func(int) float64 { return 50 }, []int{1, 2, 4}, 0, 1},
		"the largest size":   {func(n int) float64 { return float64(n) }, []int{1, 2, 4}, 2, 4},
		"a dip before the top": {func(n int) float64 {
			return map[int]float64{1: 100, 2: 300, 4: 200, 8: 400, 16: 390}[n]
		}, []int{1, 2, 4, 8, 16}, 4, 8},
	} {
		points := exact(c.rate, []float64{1, 1, 1}, c.sizes...).estimates()
		if below, knee := bracket(points); below != c.below || knee != c.knee {
			t.Errorf("%s: got below %d and knee %d, want %d and %d", name, below, knee, c.below, c.knee)
		}
	}
}

// A size that was measured in only a few rounds does not count.
func TestSettled(t *testing.T) {
	s := exact(upTo8, []float64{1, 1, 1, 1, 1, 1}, 1, 2, 4, 8)
	s.add(16, 0, 5000)
	s.add(32, 0, 600)
	s.add(32, 1, 600)
	var sizes []int
	for _, p := range settled(s.estimates()) {
		sizes = append(sizes, p.workers)
	}
	if want := []int{1, 2, 4, 8, 32}; !slices.Equal(sizes, want) {
		t.Errorf("got settled sizes %v, want %v", sizes, want)
	}
}

func TestSizesBetween(t *testing.T) {
	for _, c := range [][3]int{{0, 4, 0}, {1, 2, 0}, {2, 4, 3}, {4, 5, 0}, {8, 10, 0}, {8, 11, 9}, {4, 8, 6}, {16, 32, 23}} {
		if got := between(c[0], c[1]); got != c[2] {
			t.Errorf("between(%d, %d) = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

// Later rounds measure the sizes near the knee, one size that shows how high the curve rises, and
// one new size in the gap below the knee.
func TestSizesOfARound(t *testing.T) {
	s := &sweeper{data: exact(upTo8, []float64{1, 1, 1}, 1, 2, 4, 8, 16, 32, 64)}
	for round, want := range map[int][]int{1: {1, 2, 4, 8, 16, 6}, 2: {4, 8, 16, 6}, 9: {4, 8, 16, 6}} {
		s.round = round
		if got := s.relevant(); !slices.Equal(got, want) {
			t.Errorf("round %d measures %v, want %v", round, got, want)
		}
	}
}
