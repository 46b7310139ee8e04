package instrument

import (
	"math"
	"testing"
	"time"
)

// play makes uses of the lengths that f gives, and returns what a pool would count.
func play(s Sampler, uses int, length func(i int) time.Duration) (h *Histogram, timed int) {
	var sampled Sampled
	for i := range uses {
		if weight := s.Next(); weight > 0 {
			sampled.Sample(length(i), weight, int64(i+1))
			s.Timed(length(i))
			timed++
		}
	}
	return sampled.Read(int64(uses)), timed
}

func TestLongUsesAreAllTimed(t *testing.T) {
	h, timed := play(Sampler{}, 1000, func(int) time.Duration { return shortUse })
	if timed != 1000 || h.Count() != 1000 {
		t.Errorf("timed %d of 1000 long uses, counted %d", timed, h.Count())
	}
}

func TestShortUsesAreSampledAndAllCounted(t *testing.T) {
	const uses = 100_000
	h, timed := play(Sampler{}, uses, func(int) time.Duration { return shortUse - 1 })
	if h.Count() != uses {
		t.Errorf("counted %d of %d uses", h.Count(), uses)
	}
	if least := uses / SampleBlock; timed < least || timed > least+2 {
		t.Errorf("timed %d of %d uses, want %d", timed, uses, least)
	}
}

// Whatever the pattern of the uses, their time comes out right on average. The sampler is random: the bounds are some six
// standard deviations wide.
func TestTimeIsUnbiased(t *testing.T) {
	const uses, long = 4_000_000, 10 * shortUse
	for name, isLong := range map[string]func(i int) bool{
		"alternating":                  func(i int) bool { return i%2 == 1 },
		"bursts of a block":            func(i int) bool { return i%1000 < SampleBlock },
		"bursts of less than a block":  func(i int) bool { return i%500 < 10 },
		"bursts of more than a block":  func(i int) bool { return i%1000 < 100 },
		"one in fifty":                 func(i int) bool { return i%50 == 0 },
		"short bursts among long uses": func(i int) bool { return i%100 > 10 },
	} {
		t.Run(name, func(t *testing.T) {
			var want float64
			for i := range uses {
				if isLong(i) {
					want += long.Seconds()
				}
			}
			h, _ := play(Sampler{}, uses, func(i int) time.Duration {
				if isLong(i) {
					return long
				}
				return 0
			})
			if got := h.Sum() / want; got < 0.9 || got > 1.1 {
				t.Errorf("%.3f of the time was counted", got)
			}
		})
	}
}

// Uses that turn long are all timed as soon as one was seen.
func TestUsesThatTurnLong(t *testing.T) {
	_, timed := play(Sampler{}, 1000, func(i int) time.Duration {
		if i < 500 {
			return 1
		}
		return shortUse
	})
	if timed < 500-2*SampleBlock {
		t.Errorf("timed %d uses of which 500 are long", timed)
	}
}

// The histogram never holds more durations than there were, though a sample stands for uses that may never end, and holds all of
// them when it is read.
func TestSampledHoldsAsManyAsThereWere(t *testing.T) {
	var s Sampled
	for n := int64(1); n <= 1000; n++ {
		switch {
		case n%7 == 0:
			s.Exact(time.Millisecond, 1)
		case n%5 == 0:
			s.Sample(time.Second, SampleBlock, n)
		}
		if s.h.Count() > uint64(n) {
			t.Fatalf("%d durations of %d uses", s.h.Count(), n)
		}
		if n%100 == 0 {
			if got := s.Read(n).Count(); got != uint64(n) {
				t.Fatalf("read %d durations of %d uses", got, n)
			}
		}
	}
}

// Those that stand for themselves are no part of what a sample of their block stands for.
func TestSampledLeavesOutWhatStandsForItself(t *testing.T) {
	var s Sampled
	s.Sample(time.Millisecond, SampleBlock, 1)
	for range 10 {
		s.Exact(time.Second, 0)
	}
	s.Sample(time.Microsecond, SampleBlock, 2*SampleBlock)
	s.Exact(time.Minute, SampleBlock) // chosen in the third block, whose others are like the last sample
	h := s.Read(3 * SampleBlock)
	want := 10 + 60 + (SampleBlock-10)*1e-3 + (2*SampleBlock-1)*1e-6
	if h.Count() != 3*SampleBlock || math.Abs(h.Sum()-want) > 1e-9 {
		t.Errorf("%d durations of %v s, want %d of %v s", h.Count(), h.Sum(), 3*SampleBlock, want)
	}
}

func TestModes(t *testing.T) {
	short := func(int) time.Duration { return 1 }
	if h, timed := play(NewSampler(WithExactTiming()), 100, short); timed != 100 || h.Count() != 100 {
		t.Errorf("exact: timed %d of 100, counted %d", timed, h.Count())
	}
	off := NewSampler(WithoutTelemetry())
	if _, timed := play(off, 100, short); timed != 0 || !off.Off() {
		t.Errorf("off: timed %d, Off %v", timed, off.Off())
	}
	if s := NewSampler(); s.Off() || s != (Sampler{}) {
		t.Errorf("without options the sampler is %+v, want the zero Sampler", s)
	}
}

func BenchmarkSampler(b *testing.B) {
	var s Sampler
	for b.Loop() {
		if s.Next() > 0 {
			start := Now()
			s.Timed(Now() - start)
		}
	}
}
