package measure

import (
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

// pool is the simplest pool with a Meter: it only counts the slots in use.
type pool struct {
	mu    sync.Mutex
	meter Meter
	uses  Uses
	slots int64 // number of slots in use
	busy  bool  // simulates CPUs that are so busy that timers do not fire
}

// stopTimer stops the meter's timer if p.busy is set.
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
	return p.meter.overloaded
}

// enterOverload overloads the pool with uses that take no time.
func (p *pool) enterOverload(t *testing.T) {
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
					t.Errorf("got %v slot-seconds, want %v", got, want)
				}
				if n := p.histogram().Count(); n != 20_000 {
					t.Errorf("got %d uses, want 20,000", n)
				}
			})
		})
	}
}

// One use of 20 ms among 5,000 uses is counted in the histogram exactly once.
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
				t.Errorf("got %d uses, want 5,000", n)
			}
			found := uint64(0)
			for index, n := range h.Buckets() {
				if seconds := math.Exp2(float64(index) / (1 << instrument.Scale)); seconds > 0.015 {
					found += n
				}
			}
			if found != 1 || h.Max() < 20*time.Millisecond || h.Max() > 23*time.Millisecond {
				t.Errorf("got %d long uses, the longest of %v; want 1 of 20 ms", found, h.Max())
			}
			if sum := p.total(); sum < 0.019 || sum > 0.021 {
				t.Errorf("got %v slot-seconds, want 0.02", sum)
			}
		})
	}
}

// A short use does not count as long because two samples are taken during it.
func TestASampleDoesNotMakeAUseLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, instrument.Timing{})
		p.enterOverload(t)
		for range 3000 {
			u := p.begin(1)
			for range 2 {
				p.sample(1)
			}
			p.end(1, u)
			p.enterOverload(t)
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
			got, limit := p.total(), (Clock() - start).Seconds()
			if got > limit*(1+1e-12) || got < last {
				t.Fatalf("got %v slot-seconds, want at most %v and at least the previous %v", got, limit, last)
			}
			last = got
			p.end(1, u)
		}
	})
}

// If a program is short of CPUs, its timers fire late. A use of 20 ms is detected nevertheless, by
// the clock readings of other uses or by one late sample.
func TestALongUseIsFoundWhenSamplesAreLate(t *testing.T) {
	for name, meanwhile := range map[string]func(p *pool){
		"other uses": func(p *pool) {
			for range 4000 {
				p.use(1, 0)
				time.Sleep(5 * time.Microsecond)
			}
		},
		"one sample": func(p *pool) {
			time.Sleep(10 * time.Millisecond)
			p.sample(1)
			time.Sleep(10 * time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 50 {
				synctest.Test(t, func(t *testing.T) {
					p := newPool(t, instrument.Timing{})
					p.enterOverload(t)
					p.meter.timer.Stop()
					u := p.begin(1)
					meanwhile(p)
					p.end(1, u)
					if longest := p.histogram().Max(); longest < 20*time.Millisecond || longest > 21*time.Millisecond {
						t.Errorf("the longest use took %v, want 20 to 21 ms", longest)
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
		t.Errorf("got timer %v and %d uses, want no timer and 1,000 uses", p.meter.timer, p.uses.began)
	}
}

func TestAClosedMeterDoesNotSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, instrument.Timing{})
		p.enterOverload(t)
		p.mu.Lock()
		p.meter.Close()
		last := p.meter.at
		p.mu.Unlock()
		time.Sleep(2 * stratum)
		if p.meter.at != last || p.meter.timer.Stop() {
			t.Error("the meter samples after Close")
		}
		for range 1000 {
			p.use(1, 0)
		}
		if p.overloaded() {
			t.Error("a closed meter entered overload")
		}
	})
}

// Waits that end without success are all timed.
func TestARequestThatGivesUpIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, instrument.Timing{})
		var r Requests
		p.enterOverload(t)
		for range 50 {
			p.mu.Lock()
			wait := r.Begin(&p.meter, 0)
			p.mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			p.enterOverload(t)
			p.mu.Lock()
			r.End(&p.meter, instrument.TimedOut, wait, 0)
			p.mu.Unlock()
		}
		r.Add(instrument.Rejected, 7)
		var s instrument.Stats
		r.Report(&s, &p.meter, AllOutcomes...)
		if h := s.Wait[instrument.TimedOut]; h.Count() != 50 || h.Min() < 9*time.Millisecond ||
			h.Max() > 12*time.Millisecond {
			t.Errorf("%d waits timed out after %v to %v, want 50 after 10 ms", h.Count(), h.Min(), h.Max())
		}
		if h := s.Wait[instrument.Rejected]; h.Count() != 7 || h.Zeros() != 7 {
			t.Errorf("%d requests were rejected, %d of them without waiting; want 7", h.Count(), h.Zeros())
		}
		if s.Wait[instrument.Canceled] != nil {
			t.Error("got a histogram for an outcome without requests")
		}
	})
}
