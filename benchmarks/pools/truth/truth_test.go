package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestOffIsTheDistanceFromTheRange(t *testing.T) {
	for _, c := range []struct{ v, want float64 }{{2, 0}, {3, 0}, {4, 0}, {1, -0.5}, {5, 0.25}} {
		if got := off(c.v, 2, 4); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("off(%v, 2, 4) = %v, want %v", c.v, got, c.want)
		}
	}
}

// The bounds contain the use time that each pool reports exactly, and the time that uses really
// take.
func TestBoundsContainTheUses(t *testing.T) {
	const uses, each = 5, 2 * time.Millisecond
	for _, kind := range subjects {
		for name, awaited := range map[string]bool{"awaited": true, "not awaited": false} {
			start := time.Now()
			s := kind.open(slots)
			use := s.use
			if awaited {
				use = s.await
			}
			ended := make(chan bool, uses)
			for range uses {
				use(func() {
					time.Sleep(each)
					ended <- true
				})
				if awaited && len(ended) == 0 {
					t.Errorf("%s: await returned before the use ended", kind.kind)
				}
			}
			s.finish()
			if len(ended) != uses {
				t.Errorf("%s, %s: finish returned after %d of %d uses", kind.kind, name, len(ended), uses)
			}
			lower, upper := time.Duration(s.truth.lower.Load()), time.Duration(s.truth.upper.Load())
			if most := slots * time.Since(start); lower < uses*each || upper < lower || upper > most {
				t.Errorf(
					"%s, %s: bounds %v and %v, want them between %v and %v",
					kind.kind,
					name,
					lower,
					upper,
					uses*each,
					most,
				)
			}
			stats := s.stats()
			reported, _ := stats.UseTime.Get()
			if d := off(reported, lower.Seconds(), upper.Seconds()); math.Abs(d) > 0.01 {
				t.Errorf("%s, %s: reported %v s, %.1f%% off %v to %v", kind.kind, name, reported, 100*d, lower, upper)
			}
			if kind.histogram != (stats.Use != nil) {
				t.Errorf("%s: histogram %v", kind.kind, stats.Use)
			}
			s.stop()
		}
	}
}

func TestCommandReportsTargets(t *testing.T) {
	var out strings.Builder
	err := run([]string{"-run", "one use of 20 ms", "-rounds", "2"}, &out)
	rows := 0
	for line := range strings.Lines(out.String()) {
		if !strings.Contains(line, "one use of 20 ms") {
			continue
		}
		rows++
		missed := strings.HasSuffix(line, "| all | **no** |\n")
		if !missed &&
			!strings.HasSuffix(
				line,
				"| 2 of 2 | 2 in the histogram, 2 in use.time, 2 not above slots × time | all | yes |\n",
			) {
			t.Errorf("row %q", line)
		}
		if missed && err == nil {
			t.Errorf("no error, though a target was missed: %q", line)
		}
	}
	if rows != 2 {
		t.Errorf("%d rows, want one for Resources and one for Workers:\n%s", rows, out.String())
	}
	if err := run([]string{"-run", "("}, &out); err == nil {
		t.Error("an invalid regular expression is accepted")
	}
}
