package instrument

import (
	"testing"
	"time"
)

// play makes uses of the lengths that f gives, and returns what a pool would count.
func play(s Sampler, uses int, length func(i int) time.Duration) (h Histogram, timed int) {
	for i := range uses {
		if weight := s.Next(); weight > 0 {
			h.RecordN(length(i), weight)
			s.Timed(length(i))
			timed++
		}
	}
	return h, timed
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
	if missing := uses - int(h.Count()); missing < 0 || missing >= 2*sampleEvery {
		t.Errorf("counted %d of %d uses", h.Count(), uses)
	}
	if want := uses / sampleEvery; timed < want*8/10 || timed > want*12/10 {
		t.Errorf("timed %d of %d uses, want about %d", timed, uses, want)
	}
}

// A pattern in the uses must not hide from the samples.
func TestAlternatingUsesAreBothSeen(t *testing.T) {
	const uses = 400_000
	h, _ := play(Sampler{}, uses, func(i int) time.Duration { return time.Duration(1 + i%2*8000) })
	if share := h.Sum() * 1e9 / 8000 / uses; share < 0.45 || share > 0.55 {
		t.Errorf("the longer half of the uses is %.2f of what was counted", share)
	}
}

// The first long use after short ones stands for those that were skipped, and from then on every use is timed.
func TestUsesThatTurnLong(t *testing.T) {
	_, timed := play(Sampler{}, 1000, func(i int) time.Duration {
		if i < 500 {
			return 1
		}
		return shortUse
	})
	if timed < 500-2*sampleEvery {
		t.Errorf("timed %d uses of which 500 are long", timed)
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
