package measure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// pool is the least that has a Meter: slots that are taken and given back.
type pool struct {
	mu    sync.Mutex
	meter Meter
	uses  Uses
	slots int64 // that uses of weight take
	busy  bool  // the CPUs are so busy that timers do not run
}

// stopTimer keeps the timer of the meter from running where it would not run.
func (p *pool) stopTimer() {
	if p.busy && p.meter.timer != nil {
		p.meter.timer.Stop()
	}
}

func newPool(t *testing.T, timing instrument.Timing) *pool {
	p := new(pool)
	p.meter.Init(timing, &p.mu, func() int64 { return p.slots })
	p.uses.Split.Init(timing)
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.meter.Close()
	})
	return p
}

func (p *pool) begin(n int64) Use {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.meter.Event(p.slots)
	p.stopTimer()
	p.slots += n
	return p.uses.Begin(&p.meter, now)
}

func (p *pool) end(n int64, u Use) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.meter.Event(p.slots)
	p.stopTimer()
	p.slots -= n
	p.uses.End(&p.meter, u, instrument.OK, now)
}

func (p *pool) use(n int64, d time.Duration) {
	u := p.begin(n)
	time.Sleep(d)
	p.end(n, u)
}

func (p *pool) total() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.meter.Total(Clock(), p.slots)
}

// sample samples the slots used, as the timer does.
func (p *pool) sample(used float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meter.noteTime(Clock())
	p.meter.sample(Clock(), used)
}

func (p *pool) histogram() *instrument.Histogram {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.uses.took.Read(p.uses.done())
}

func (p *pool) overloaded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.meter.over
}

// overload makes uses that take no time until the pool is overloaded.
func (p *pool) overload(t *testing.T) {
	t.Helper()
	for range 1000 {
		p.use(1, 0)
	}
	if !p.overloaded() {
		t.Fatal("the pool is not overloaded")
	}
}

func TestSlotSecondsAreExactBelow100000UsesASecond(t *testing.T) {
	for name, timing := range map[string]instrument.Timing{"adaptive": {}, "exact": {Exact: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, timing)
				want := 0.0
				for range 20_000 {
					n, d := 1+rand.Int64N(5), rand.N(12*time.Microsecond)
					want += float64(n) * d.Seconds()
					p.use(n, d)
					time.Sleep(rand.N(12 * time.Microsecond))
				}
				if got := p.total(); math.Abs(got/want-1) > 1e-9 {
					t.Errorf("%v slot-seconds, want %v", got, want)
				}
				if n := p.histogram().Count(); n != 20_000 {
					t.Errorf("%d uses, want 20,000", n)
				}
			})
		})
	}
}

// The estimate is right on average for any pattern of use: whatever is held longer, comes back
// later, comes in bursts, or repeats with the period of the looks.
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
		"with the period of the looks": func(p *pool) float64 {
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
				p.overload(t)
				want := 0.0
				const span = 2 * time.Second
				for start := time.Now(); time.Since(start) < span; {
					want += pattern(p)
				}
				if !p.overloaded() {
					t.Fatal("the overload has ended")
				}
				if got := p.total(); math.Abs(got/want-1) > 0.2 { // six standard errors at least
					t.Errorf("%.3f of the slot-seconds", got/want)
				}
			})
		})
	}
}

// The estimate is also right on average where the timer does not run, as on busy CPUs, and where
// the pool has bursts of events with pauses between, each of which ends the overload.
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
	for name, pattern := range map[string]func(p *pool) (slotSeconds float64){
		"mostly idle": func(p *pool) float64 { return shortUses(p, us, 3*us) },
		"mostly busy": func(p *pool) float64 { return shortUses(p, 3*us, us) },
		"bursts of short uses": func(p *pool) float64 {
			defer time.Sleep(rand.N(10 * ms))
			return shortUses(p, us, us)
		},
		"short uses and a long one": func(p *pool) float64 {
			d := rand.N(10 * ms)
			p.use(1, d)
			return d.Seconds() + shortUses(p, us, us)
		},
	} {
		for _, busy := range []bool{false, true} {
			within := 0.2 // four standard errors at least
			if busy && name == "bursts of short uses" {
				within = 0.6 // what is used in pauses is known from few
			}
			t.Run(fmt.Sprintf("%s, busy CPUs %t", name, busy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPool(t, instrument.Timing{})
					p.busy = busy
					p.overload(t)
					want := 0.0
					const span = time.Second
					for start := time.Now(); time.Since(start) < span; {
						want += pattern(p)
					}
					if got := p.total(); math.Abs(got/want-1) > within {
						t.Errorf("%.3f of the slot-seconds", got/want)
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
			p.overload(t)
			u := p.begin(held)
			time.Sleep(time.Hour)
			if p.overloaded() {
				t.Error("the overload goes on")
			}
			p.end(held, u)
			if got, want := p.total(), float64(held)*3600; math.Abs(got-want) > 0.01 {
				t.Errorf("%v slot-seconds, want %v", got, want)
			}
		})
	}
}

// One use of 20 ms among 20,000 short ones is in the histogram, as one.
func TestALongUseAmongShortOnesIsFound(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, instrument.Timing{})
			long := rand.IntN(5000)
			for i := range 5000 {
				d := time.Duration(0)
				if i == long {
					d = 20 * time.Millisecond
				}
				p.use(1, d)
				if i%7 == 0 {
					time.Sleep(time.Microsecond)
				}
			}
			h := p.histogram()
			if n := h.Count(); n != 5000 {
				t.Errorf("%d uses, want 5000", n)
			}
			found := uint64(0)
			for index, n := range h.Buckets() {
				if seconds := math.Exp2(float64(index) / (1 << instrument.Scale)); seconds > 0.015 {
					found += n
				}
			}
			if found != 1 || h.Max() < 20*time.Millisecond || h.Max() > 23*time.Millisecond {
				t.Errorf("%d long uses, the longest %v; want 1 of 20 ms", found, h.Max())
			}
			if sum := p.total(); sum < 0.019 || sum > 0.021 {
				t.Errorf("%v slot-seconds, want 0.02", sum)
			}
		})
	}
}

// A short use that two looks interrupt is not a long one.
func TestALookDoesNotMakeAUseLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, instrument.Timing{})
		p.overload(t)
		for range 3000 {
			u := p.begin(1)
			for range 2 {
				p.sample(1)
			}
			p.end(1, u)
			p.overload(t)
		}
		if longest := p.histogram().Max(); longest > 0 {
			t.Errorf("a use of no time was recorded as %v", longest)
		}
	})
}

func TestSlotSecondsNeverExceedSlotsTimesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := Clock()
		p := newPool(t, instrument.Timing{})
		last := 0.0
		for range 300 {
			for range rand.IntN(400) {
				p.use(1, rand.N(4*time.Microsecond))
			}
			u := p.begin(1)
			time.Sleep(rand.N(3 * time.Millisecond))
			got, most := p.total(), (Clock() - start).Seconds()
			if got > most*(1+1e-12) || got < last {
				t.Fatalf("%v slot-seconds in %v s on one slot, after %v", got, most, last)
			}
			last = got
			p.end(1, u)
		}
	})
}

// A program that is short of CPUs gets its timers late. A use of 20 ms is found all the same, by
// what other uses read of the clock or by one late look.
func TestALongUseIsFoundWhereLooksAreLate(t *testing.T) {
	for name, meanwhile := range map[string]func(p *pool){
		"others go on": func(p *pool) {
			for range 4000 {
				p.use(1, 0)
				time.Sleep(5 * time.Microsecond)
			}
		},
		"one look": func(p *pool) {
			time.Sleep(10 * time.Millisecond)
			p.sample(1)
			time.Sleep(10 * time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 50 {
				synctest.Test(t, func(t *testing.T) {
					p := newPool(t, instrument.Timing{})
					p.overload(t)
					p.meter.timer.Stop()
					u := p.begin(1)
					meanwhile(p)
					p.end(1, u)
					if longest := p.histogram().Max(); longest < 20*time.Millisecond || longest > 21*time.Millisecond {
						t.Errorf("the longest use took %v, want 20 ms, and little more", longest)
					}
				})
			}
		})
	}
}

func TestAMeterThatIsOffMeasuresNothing(t *testing.T) {
	p := newPool(t, instrument.Timing{Off: true})
	for range 1000 {
		p.use(1, 0)
	}
	if p.meter.timer != nil || p.histogram() != nil && p.histogram().Count() != 1000 || p.uses.began != 1000 {
		t.Errorf("a timer %v, %d uses", p.meter.timer, p.uses.began)
	}
}

func TestAClosedMeterDoesNotLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, instrument.Timing{})
		p.overload(t)
		p.mu.Lock()
		p.meter.Close()
		last := p.meter.at
		p.mu.Unlock()
		time.Sleep(2 * stratum)
		if p.meter.at != last || p.meter.timer.Stop() {
			t.Error("it looks after Close")
		}
		for range 1000 {
			p.use(1, 0)
		}
		if p.overloaded() {
			t.Error("a closed meter is overloaded")
		}
	})
}

// Waits that end without success are all timed.
func TestARequestThatGivesUpIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, instrument.Timing{})
		var r Requests
		p.overload(t)
		for range 50 {
			p.mu.Lock()
			wait := p.meter.Begin(0)
			p.mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			p.overload(t)
			p.mu.Lock()
			r.End(&p.meter, instrument.TimedOut, wait, 0)
			p.mu.Unlock()
		}
		r.Add(instrument.Rejected, 7)
		var s instrument.Stats
		r.Report(&s, &p.meter, AllOutcomes...)
		if h := s.Wait[instrument.TimedOut]; h.Count() != 50 || h.Min() < 9*time.Millisecond ||
			h.Max() > 12*time.Millisecond {
			t.Errorf("%d timed out after %v to %v, want 50 after 10 ms", h.Count(), h.Min(), h.Max())
		}
		if h := s.Wait[instrument.Rejected]; h.Count() != 7 || h.Zeros() != 7 {
			t.Errorf("%d rejected, %d at once; want 7", h.Count(), h.Zeros())
		}
		if s.Wait[instrument.Canceled] != nil {
			t.Error("a histogram of nothing")
		}
	})
}
