package instrument

import "time"

// Sampled is a histogram of durations of which a [Sampler] chose some to be timed. Each of those stands for all of its block, of
// which some may not have ended yet, or never will: the histogram takes them as they come, so that it never holds more than there
// have been. Whoever owns it guards it. The zero Sampled is empty.
type Sampled struct {
	h    Histogram
	last time.Duration // the last that was timed
	due  uint64        // durations that those that were timed stand for
}

// Sample adds a duration that stands for weight of them, when there have been n so far. It takes some 10 ns.
func (s *Sampled) Sample(d time.Duration, weight uint32, n int64) {
	s.fill(min(s.due, uint64(n)))
	s.due = min(s.due, uint64(n)) + uint64(weight)
	s.last = d
}

// Exact adds a duration that stands for itself, but was chosen for weight of them: the others are like what is sampled. With a weight
// of 0 it was not chosen, and there is one less that others stand for.
func (s *Sampled) Exact(d time.Duration, weight uint32) {
	s.h.Record(d)
	s.due += uint64(weight)
}

// Read returns the histogram of n durations so far, which the caller owns. Those that nothing stands for yet count like the last
// that was timed.
func (s *Sampled) Read(n int64) *Histogram {
	s.fill(uint64(n))
	return s.h.Clone()
}

// fill lets the last duration stand for all up to n.
func (s *Sampled) fill(n uint64) {
	if missing := n - s.h.Count(); n > s.h.Count() {
		s.h.RecordN(s.last, missing)
	}
}
