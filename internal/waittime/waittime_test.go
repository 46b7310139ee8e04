package waittime

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/coarse"
)

const tick = 10 * time.Millisecond

// pool is the owner of a meter.
type pool struct {
	mu    sync.Mutex
	clock coarse.Clock
	Meter
}

// inBubble runs f with a meter of its own.
func inBubble(t *testing.T, f func(p *pool), opts ...instrument.Option) {
	synctest.Test(t, func(*testing.T) {
		p := new(pool)
		p.clock.Init(&p.mu, tick)
		p.Init(instrument.NewSampler(opts...), &p.clock)
		f(p)
		p.mu.Lock()
		p.clock.Stop()
		p.mu.Unlock()
	})
}

func (p *pool) begin() (w Wait) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Begin(&w)
	return w
}

func (p *pool) end(w Wait) {
	p.End(&w)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Add(instrument.Acquired, &w)
}

// What the sampler promises: that as many at once are timed exactly, and the largest block of which one is.
const burst, block = 100, 128

// rush lets so many waits that take no time begin that not every one is timed any more.
func (p *pool) rush() (waits int) {
	const n = burst + 10*block
	for range n {
		p.end(p.begin())
	}
	return n
}

func TestFewWaitsAreTimedExactly(t *testing.T) {
	inBubble(t, func(p *pool) {
		var want time.Duration
		for i := range 1000 {
			w := p.begin()
			d := time.Duration(i) * time.Microsecond
			time.Sleep(d)
			p.end(w)
			want += d
			time.Sleep(10 * time.Microsecond)
		}
		h := p.Read(instrument.Acquired, 1500)
		if h.Count() != 1500 || h.Zeros() != 501 || math.Abs(h.Sum()-want.Seconds()) > 1e-9 {
			t.Errorf("%d waits, %d of 0, %v s; want 1500, 501, %v s", h.Count(), h.Zeros(), h.Sum(), want.Seconds())
		}
	})
}

func TestBurstIsTimedExactly(t *testing.T) {
	inBubble(t, func(p *pool) {
		var all [burst]Wait
		for i := range all {
			all[i] = p.begin()
		}
		for i, w := range all {
			if w.weight != 1 {
				t.Fatalf("wait %d of a burst stands for %d", i, w.weight)
			}
		}
	})
}

func TestOneOfABlockIsTimedInARush(t *testing.T) {
	inBubble(t, func(p *pool) {
		p.rush()
		timed := 0
		for range 100 * block {
			w := p.begin()
			if w.weight > 0 {
				timed++
			}
			p.end(w)
		}
		if timed < 99 || timed > 101 {
			t.Errorf("%d of %d waits timed, want 100", timed, 100*block)
		}
	})
}

// However many short waits there are, each long one is there, and known to half a tick or so.
func TestLongWaitsOfARushAreAllThere(t *testing.T) {
	inBubble(t, func(p *pool) {
		n := p.rush()
		const long = 50
		var all [long]Wait
		for i := range all {
			all[i] = p.begin()
			time.Sleep(time.Microsecond)
		}
		const took = 5 * time.Second
		time.Sleep(took)
		for _, w := range all {
			p.end(w)
		}
		h := p.Read(instrument.Acquired, int64(n+long))
		if h.Count() != uint64(n+long) || h.Zeros() != uint64(n) {
			t.Errorf("%d waits, %d of 0; want %d, %d", h.Count(), h.Zeros(), n+long, n)
		}
		if h.Max() < took-tick || h.Max() > took+tick || math.Abs(h.Sum()/long-took.Seconds()) > tick.Seconds() {
			t.Errorf("up to %v, %v s in all; want %d of %v", h.Max(), h.Sum(), long, took)
		}
	})
}

// A long wait that was timed exactly, since it began before a rush, stands for itself and for no other.
func TestLongWaitFromBeforeARush(t *testing.T) {
	inBubble(t, func(p *pool) {
		w := p.begin()
		n := p.rush()
		time.Sleep(time.Second)
		p.end(w)
		n += p.rush()
		h := p.Read(instrument.Acquired, int64(n+1))
		if h.Zeros() != uint64(n) || h.Sum() != 1 {
			t.Errorf("%d waits of 0 and %v s, want %d and 1 s", h.Zeros(), h.Sum(), n)
		}
	})
}

// The number of the long waits is exact, and the time of short and long ones comes out right.
func TestRushIsUnbiased(t *testing.T) {
	inBubble(t, func(p *pool) {
		const n, step = 200_000, 2 * time.Microsecond
		took := func(i int) int { // in steps
			if i%100 == 7 {
				return 20_000 // 40 ms
			}
			return 1 + i%50
		}
		ends := make(map[int][]Wait)
		var short, long float64
		for i := range n + 20_000 {
			for _, w := range ends[i] {
				p.end(w)
			}
			delete(ends, i)
			if i < n {
				at := i + took(i)
				ends[at] = append(ends[at], p.begin())
				if d := step.Seconds() * float64(took(i)); took(i) > 50 {
					long += d
				} else {
					short += d
				}
			}
			p.end(Wait{}) // of a request that need not wait
			time.Sleep(step)
		}
		h := p.Read(instrument.Acquired, 2*n)
		if h.Count() != 2*n || h.Zeros() != n {
			t.Errorf("%d requests, %d of which did not wait; want %d, %d", h.Count(), h.Zeros(), 2*n, n)
		}
		var shorts, longs float64 // counted
		for index, k := range h.Buckets() {
			if math.Exp2(float64(index)/8) > 0.02 {
				longs += float64(k)
			} else {
				shorts += float64(k)
			}
		}
		if longs != n/100 {
			t.Errorf("%v long waits, want %d", longs, n/100)
		}
		if got := h.Sum(); math.Abs(got-short-long) > 0.01*long+0.05*short {
			t.Errorf("%v s, want %v of long and %v of short waits", got, long, short)
		}
	})
}

// Waits that come to nothing are all timed, whatever others took.
func TestGivingUpInARushIsTimed(t *testing.T) {
	inBubble(t, func(p *pool) {
		p.rush()
		time.Sleep(tick / 2) // as on average
		p.rush()
		const n, took = 20, 5 * time.Millisecond
		all := make([]Wait, n)
		for i := range all {
			all[i] = p.begin()
			time.Sleep(time.Microsecond)
		}
		time.Sleep(took)
		p.mu.Lock()
		for i := range all {
			p.GiveUp(instrument.TimedOut, &all[i])
		}
		p.mu.Unlock()
		p.GiveUp(instrument.TimedOut, new(Wait)) // of a request that need not wait
		h := p.Read(instrument.TimedOut, n)
		mean := took.Seconds()
		if h.Count() != n || math.Abs(h.Sum()/n-mean) > 0.2*mean {
			t.Errorf("%d waits of %v s in the mean, want %d of %v", h.Count(), h.Sum()/n, n, mean)
		}
	})
}

func TestExactTimesEveryWait(t *testing.T) {
	inBubble(t, func(p *pool) {
		p.rush()
		if w := p.begin(); w.weight != 1 {
			t.Errorf("it stands for %d", w.weight)
		}
	}, instrument.WithExactTiming())
}

func TestWithoutTelemetryNothingIsTimed(t *testing.T) {
	inBubble(t, func(p *pool) {
		w := p.begin()
		time.Sleep(time.Second)
		if _, known := w.Age(instrument.Now()).Get(); known {
			t.Errorf("an age of %+v", w)
		}
		p.end(w)
		if h := p.Read(instrument.Acquired, 1); h.Sum() != 0 {
			t.Errorf("%v s", h.Sum())
		}
	}, instrument.WithoutTelemetry())
}

func TestAge(t *testing.T) {
	inBubble(t, func(p *pool) {
		w := p.begin()
		time.Sleep(time.Second)
		if age := w.Age(instrument.Now()).Or(0); age != time.Second {
			t.Errorf("age %v, want 1s", age)
		}
		p.rush()
		w = p.begin()
		time.Sleep(time.Second)
		if age := w.Age(instrument.Now()).Or(0); age < time.Second || age > time.Second+tick {
			t.Errorf("age %v in a rush, want 1s and up to a tick", age)
		}
	})
}

func BenchmarkWait(b *testing.B) {
	var p pool
	p.clock.Init(&p.mu, tick)
	p.Init(instrument.NewSampler(), &p.clock)
	for b.Loop() {
		p.end(p.begin())
	}
}
