package instrument

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// play makes uses that begin one after the other and take as long as f gives, and returns what a pool would count.
func play(s Sampler, uses int, every time.Duration, length func(i int) time.Duration) (h *Histogram, timed int) {
	var sampled Sampled
	now := time.Hour
	for i := range uses {
		now += every
		if s.skip > 0 {
			s.skip--
			continue
		}
		if weight := s.chooseAt(now); weight > 0 {
			sampled.Sample(length(i), weight, int64(i+1))
			s.Timed(length(i))
			timed++
		}
	}
	return sampled.Read(int64(uses)), timed
}

func noTime(int) time.Duration { return 0 }

func TestFewUsesAreAllTimed(t *testing.T) {
	h, timed := play(Sampler{}, 1000, sampleTime, noTime)
	if timed != 1000 || h.Count() != 1000 {
		t.Errorf("timed %d of 1000 uses, counted %d", timed, h.Count())
	}
}

func TestLongUsesAreAllTimedHoweverFastTheyCome(t *testing.T) {
	h, timed := play(Sampler{}, 10_000, 0, func(int) time.Duration { return shortUse })
	if timed != 10_000 || h.Count() != 10_000 {
		t.Errorf("timed %d of 10000 uses, counted %d", timed, h.Count())
	}
}

// Uses that turn long are all timed as soon as one was seen.
func TestUsesThatTurnLong(t *testing.T) {
	_, timed := play(Sampler{}, 2000, 0, func(i int) time.Duration {
		if i < 1000 {
			return shortUse - 1
		}
		return shortUse
	})
	if timed < 1000-2*blockOfMost {
		t.Errorf("timed %d uses of which 1000 are long", timed)
	}
}

func TestBurstIsTimed(t *testing.T) {
	if _, timed := play(Sampler{}, sampleBurst, 0, noTime); timed != sampleBurst {
		t.Errorf("timed %d of a burst of %d", timed, sampleBurst)
	}
}

// An idle hour is no reason to time the rush that follows it.
func TestIdleTimeIsNotSavedUp(t *testing.T) {
	s := Sampler{}
	s.chooseAt(time.Hour)
	s.Timed(0)
	timed := 0
	for range 10 * sampleBurst {
		if s.skip > 0 {
			s.skip--
		} else if s.chooseAt(2*time.Hour) > 0 {
			timed++
		}
	}
	if timed > 2*sampleBurst {
		t.Errorf("timed %d of %d at once", timed, 10*sampleBurst)
	}
}

func TestManyUsesAreSampledAndAllCounted(t *testing.T) {
	const uses = 1_000_000
	for every, block := range map[time.Duration]int{5 * time.Microsecond: blockOfMany, 500 * time.Nanosecond: blockOfMost} {
		h, timed := play(Sampler{}, uses, every, noTime)
		if h.Count() != uses {
			t.Errorf("counted %d of %d uses", h.Count(), uses)
		}
		if want := uses / block; timed < want*9/10 || timed > want*11/10 {
			t.Errorf("timed %d of %d uses, one every %v; want %d or so", timed, uses, every, want)
		}
	}
}

// A shard does not know how fast uses come, so it samples the short ones in any case.
func TestShardSamplesShortUsesAtAnyRate(t *testing.T) {
	const uses = 10_000
	s := Sampler{}
	s.Shard()
	if _, timed := play(s, uses, time.Second, noTime); timed > uses/blockOfMany+10 {
		t.Errorf("timed %d of %d short uses", timed, uses)
	}
	if _, timed := play(s, uses, time.Second, func(int) time.Duration { return shortUse }); timed != uses {
		t.Errorf("timed %d of %d long uses", timed, uses)
	}
}

// When a rush is over the uses are timed again, at the latest after those of the block that had begun.
func TestEndOfRush(t *testing.T) {
	s := Sampler{}
	now := time.Hour
	next := func() (weight uint32) {
		if s.skip > 0 {
			s.skip--
			return 0
		}
		weight = s.chooseAt(now)
		s.Timed(0)
		return weight
	}
	for range 100_000 {
		next()
	}
	for range 2 * blockOfMost {
		now += time.Millisecond
		next()
	}
	for range 1000 {
		now += sampleTime
		if weight := next(); weight != 1 {
			t.Fatalf("a use after the rush has weight %d", weight)
		}
	}
}

// Whatever the pattern of the uses, their time comes out right on average. The sampler is random: the bounds are some six
// standard deviations wide.
func TestTimeIsUnbiased(t *testing.T) {
	const uses, long = 4_000_000, 100 * time.Microsecond
	for name, isLong := range map[string]func(i int) bool{
		"alternating":                  func(i int) bool { return i%2 == 1 },
		"bursts of a block":            func(i int) bool { return i%1000 < blockOfMost },
		"bursts of less than a block":  func(i int) bool { return i%500 < 10 },
		"bursts of more than a block":  func(i int) bool { return i%1000 < 300 },
		"one in fifty":                 func(i int) bool { return i%50 == 0 },
		"short bursts among long uses": func(i int) bool { return i%100 > 10 },
	} {
		for every, off := range map[time.Duration]float64{5 * time.Microsecond: 0.12, 50 * time.Nanosecond: 0.25} {
			t.Run(fmt.Sprint(name, " ", every), func(t *testing.T) {
				var want float64
				for i := range uses {
					if isLong(i) {
						want += long.Seconds()
					}
				}
				h, _ := play(Sampler{}, uses, every, func(i int) time.Duration {
					if isLong(i) {
						return long
					}
					return 0
				})
				if got := h.Sum() / want; math.Abs(got-1) > off {
					t.Errorf("%.3f of the time was counted", got)
				}
			})
		}
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
			s.Sample(time.Second, blockOfMany, n)
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
	s.Sample(time.Millisecond, blockOfMany, 1)
	for range 10 {
		s.Exact(time.Second, 0)
	}
	s.Sample(time.Microsecond, blockOfMany, 2*blockOfMany)
	s.Exact(time.Minute, blockOfMany) // chosen in the third block, whose others are like the last sample
	h := s.Read(3 * blockOfMany)
	want := 10 + 60 + (blockOfMany-10)*1e-3 + (2*blockOfMany-1)*1e-6
	if h.Count() != 3*blockOfMany || math.Abs(h.Sum()-want) > 1e-9 {
		t.Errorf("%d durations of %v s, want %d of %v s", h.Count(), h.Sum(), 3*blockOfMany, want)
	}
}

func TestModes(t *testing.T) {
	if h, timed := play(NewSampler(WithExactTiming()), 1000, 0, noTime); timed != 1000 || h.Count() != 1000 {
		t.Errorf("exact: timed %d of 1000, counted %d", timed, h.Count())
	}
	off := NewSampler(WithoutTelemetry())
	if _, timed := play(off, 1000, 0, noTime); timed != 0 || !off.Off() {
		t.Errorf("off: timed %d, Off %v", timed, off.Off())
	}
	if s := NewSampler(); s.Off() || s != (Sampler{}) {
		t.Errorf("without options the sampler is %+v, want the zero Sampler", s)
	}
}

func BenchmarkSampler(b *testing.B) {
	var s Sampler
	for b.Loop() {
		s.Next()
	}
}
