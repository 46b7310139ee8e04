package measure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// The estimate is unbiased for any pattern of use: slots may be mostly idle, mostly busy, used in
// bursts, or used with the period of the samples.
func TestSlotSecondsOfAnOverloadedPoolAreUnbiased(t *testing.T) {
	random := func(us int64) time.Duration { return rand.N(2 * time.Duration(us) * time.Microsecond) }
	for name, pattern := range map[string]func(p *pool) (slotSeconds float64){
		"mostly idle": func(p *pool) float64 {
			d := random(1)
			p.use(1, d)
			time.Sleep(random(3))
			return d.Seconds()
		},
		"mostly busy": func(p *pool) float64 {
			d := random(3)
			p.use(1, d)
			time.Sleep(random(1))
			return d.Seconds()
		},
		"bursts": func(p *pool) (sum float64) {
			for range 30 {
				d := random(1)
				p.use(1, d)
				sum += d.Seconds()
			}
			d := random(50)
			p.use(5, d)
			time.Sleep(random(50))
			return sum + 5*d.Seconds()
		},
		"with the period of the samples": func(p *pool) float64 {
			p.use(1, stratum/2)
			for range 400 {
				p.use(0, 0)
			}
			time.Sleep(stratum / 2)
			return (stratum / 2).Seconds()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, instrument.Timing{})
				p.enterOverload(t)
				want, rounds, overloaded := 0.0, 0, 0
				const span = 2 * time.Second
				for start := time.Now(); time.Since(start) < span; rounds++ {
					want += pattern(p)
					if p.overloaded() {
						overloaded++
					}
				}
				if overloaded < rounds*3/4 {
					t.Fatalf("the pool was overloaded after only %d of %d rounds", overloaded, rounds)
				}
				if got := p.total(); math.Abs(got/want-1) > 0.2 { // at least six standard errors
					t.Errorf("got %.3f times the actual slot-seconds, want 1 ± 0.2", got/want)
				}
			})
		})
	}
}

// The estimate is also unbiased if the timer does not fire, as on busy CPUs, and if the pool has
// bursts of events separated by pauses that end the overload.
func TestSlotSecondsOfBurstsAndOnBusyCPUsAreUnbiased(t *testing.T) {
	shortUses := func(p *pool, used, unused time.Duration) (sum float64) {
		for range 1000 {
			d := rand.N(2 * used)
			p.use(1, d)
			sum += d.Seconds()
			time.Sleep(rand.N(2 * unused))
		}
		return sum
	}
	const us, ms = time.Microsecond, time.Millisecond
	for name, c := range map[string]struct {
		pattern func(p *pool) (slotSeconds float64)
		span    time.Duration
		// The tolerances are at least six standard errors, as measured in 40 runs. With busy CPUs,
		// there are few samples of the pauses.
		tolerance, toleranceIfBusy float64
	}{
		"mostly idle": {
			func(p *pool) float64 { return shortUses(p, us, 3*us) }, 2 * time.Second, 0.27, 0.27,
		},
		"mostly busy": {
			func(p *pool) float64 { return shortUses(p, 3*us, us) }, time.Second, 0.12, 0.12,
		},
		"bursts of short uses": {
			func(p *pool) float64 {
				defer time.Sleep(rand.N(10 * ms))
				return shortUses(p, us, us)
			}, 4 * time.Second, 0.2, 0.6,
		},
		"short uses and a long one": {
			func(p *pool) float64 {
				d := rand.N(10 * ms)
				p.use(1, d)
				return d.Seconds() + shortUses(p, us, us)
			}, time.Second, 0.15, 0.15,
		},
	} {
		for _, busy := range []bool{false, true} {
			tolerance := c.tolerance
			if busy {
				tolerance = c.toleranceIfBusy
			}
			t.Run(fmt.Sprintf("%s, busy CPUs %t", name, busy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPool(t, instrument.Timing{})
					p.busy = busy
					p.enterOverload(t)
					want := 0.0
					for start := time.Now(); time.Since(start) < c.span; {
						want += c.pattern(p)
					}
					if got := p.total(); math.Abs(got/want-1) > tolerance {
						t.Errorf("got %.3f times the actual slot-seconds, want 1 ± %v", got/want, tolerance)
					}
				})
			})
		}
	}
}

func TestAPauseAfterAnOverloadIsExact(t *testing.T) {
	for _, held := range []int64{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, instrument.Timing{})
			p.enterOverload(t)
			u := p.begin(held)
			time.Sleep(time.Hour)
			if p.overloaded() {
				t.Error("the overload has not ended")
			}
			p.end(held, u)
			if got, want := p.total(), float64(held)*3600; math.Abs(got-want) > 0.01 {
				t.Errorf("got %v slot-seconds, want %v", got, want)
			}
		})
	}
}

// Uses outside of overloads represent only themselves, and a block that one overload leaves
// unfinished is finished in the next one. So no single use has to represent many others.
func TestUsesInShortOverloadsAreRepresented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, instrument.Timing{})
		want, uses := 0.0, 0
		for range 2000 {
			for range 100 + rand.IntN(300) {
				d := rand.N(2 * time.Microsecond)
				p.use(1, d)
				want += d.Seconds()
				uses++
			}
			time.Sleep(2*stratum + rand.N(stratum)) // ends the overload
			d := rand.N(minLong)
			p.use(1, d)
			want += d.Seconds()
			uses++
			if missing := uses - int(p.uses.took.due); missing > 3*block {
				t.Fatalf("%d of %d uses are not represented by a timed use", missing, uses)
			}
		}
		if got := p.histogram().Sum(); math.Abs(got/want-1) > 0.1 {
			t.Errorf("got %.3f times the actual duration, want 1 ± 0.1", got/want)
		}
	})
}
