package live

import (
	"math"
	"testing"
)

func TestLevelOfPoolWithWaiters(t *testing.T) {
	for name, c := range map[string]struct {
		used, limit, pending, oldest float64
		want                         Level
	}{
		"full, none waiting":        {10, 10, 0, 0, Good},
		"full, some waiting":        {10, 10, 2, 0.5, Warning},
		"90% full, some waiting":    {9, 10, 2, 0.5, Warning},
		"half full, some waiting":   {5, 10, 2, 0.5, Good},
		"half full, one long wait":  {5, 10, 1, 1, Trouble},
		"no limit, some waiting":    {5, 0, 2, 0.5, Good},
		"limit of one, one waiting": {0, 1, 1, 0.5, Good},
	} {
		got, why := level(&Pool{
			Used: Known(c.used), Limit: Known(c.limit), Pending: Known(c.pending), OldestWait: Known(c.oldest),
		})
		if got != c.want || (why == "") != (c.pending == 0 || got == Good && c.oldest < 1) {
			t.Errorf("%s: got level %q with reason %q, want level %q", name, got, why, c.want)
		}
	}
}

func TestRatioIsAbsentUnlessBothFiguresAreKnownAndDivisorIsPositive(t *testing.T) {
	unknown := Figure{}
	for name, c := range map[string]struct{ dividend, divisor, want Figure }{
		"both known":       {Known(1), Known(4), Known(0.25)},
		"zero dividend":    {Known(0), Known(4), Known(0)},
		"zero divisor":     {Known(1), Known(0), unknown},
		"negative divisor": {Known(1), Known(-4), unknown},
		"unknown dividend": {unknown, Known(4), unknown},
		"unknown divisor":  {Known(1), unknown, unknown},
		"zero by zero":     {Known(0), Known(0), unknown},
		"unknown by zero":  {unknown, Known(0), unknown},
	} {
		if got := c.dividend.Over(c.divisor); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// The quantiles do not depend on the order of the cells, which come from several series.
func TestQuantilesOfCellsInAnyOrder(t *testing.T) {
	cells := []cell{{lower: 1, upper: 2, n: 50}, {lower: 2, upper: 4, n: 49}, {lower: 4, upper: 8, n: 1}}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		var s spread
		for _, i := range order {
			s.cells = append(s.cells, cells[i])
		}
		p50, p95, p99 := s.quantiles()
		if p50 != 2 || math.Abs(p95-2*math.Pow(2, 45.0/49)) > 1e-9 || p99 != 4 {
			t.Errorf("cells in the order %v: got the quantiles %v, %v and %v, want 2, 3.78 and 4", order, p50, p95, p99)
		}
	}
}

func TestUnknownPressureAndThrottlingAreAbsentFromHistory(t *testing.T) {
	for name, c := range map[string]struct {
		throttled, pressure Figure
		want                [2]float64
	}{
		"unknown":   {Figure{}, Figure{}, [2]float64{math.NaN(), math.NaN()}},
		"none":      {Known(0), Known(0), [2]float64{0, 0}},
		"a quarter": {Known(0.25), Known(0.5), [2]float64{0.25, 0.5}},
	} {
		var m machine
		m.shown.Containers = []Container{{}, {Throttled: c.throttled}, {}}
		m.shown.Host.Pressure.Memory = c.pressure
		for i, v := range m.course()[courseMemory+1:] {
			if got := float64(v); got != c.want[i] && !(math.IsNaN(got) && math.IsNaN(c.want[i])) {
				t.Errorf("%s: got %v, want %v", name, got, c.want[i])
			}
		}
	}
}
