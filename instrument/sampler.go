package instrument

import (
	"math"
	"math/rand/v2"
	"time"
)

// base is where [Now] counts from.
var base = time.Now()

// Now returns the monotonic time since the program started. Only differences mean anything. It takes half the time of
// [time.Now], 31 ns, and follows the clock of testing/synctest.
func Now() time.Duration {
	return time.Since(base)
}

// SampleBlock is how many short uses there are for each that is timed. A weight is this or 1.
const SampleBlock = 32

// shortUse is where reading the clock twice starts to cost less than 1 % of the use.
const shortUse = 10 * time.Microsecond

// Sampler chooses the uses of a pool that are timed, and says how many uses each of them stands for. While uses are long, at
// least 10 µs, every one is timed, and that costs less than 1 % of it. While they are short, one of each 32 is, at random: a
// stratified sample (Cochran, Sampling Techniques, 1977, chapter 5). How the next 32 are treated follows from how long that one took,
// and what follows does not change the choice, so that the time of the uses comes out right on average, whatever their pattern:
// bursts of long uses among short ones as well.
//
// The zero Sampler does this; [NewSampler] returns one that follows the options of the pool. It has no lock: whoever owns it
// guards it. The choice costs about 1 ns for a use that is not timed. [Sampled] adds up what was timed.
type Sampler struct {
	left  uint32 // uses of the block that are still to come
	pick  uint32 // how many of them are left after the one that is timed
	size  uint32 // of the block
	short bool   // what the last timed use was
	mode  sampling
}

type sampling uint8

const (
	adaptive sampling = iota
	exact
	never
)

// Next is called once for each use, before it starts. It returns the number of uses that this one stands for, some before it and
// some to come, or 0 when it is not to be timed.
func (s *Sampler) Next() (weight uint32) {
	if s.left == 0 {
		s.begin()
	}
	s.left--
	if s.left != s.pick {
		return 0
	}
	return s.size
}

// begin begins a block.
func (s *Sampler) begin() {
	switch {
	case s.mode == never:
		s.left, s.pick = math.MaxUint32, math.MaxUint32
	case s.short:
		s.left, s.pick, s.size = SampleBlock, rand.Uint32N(SampleBlock), SampleBlock
	default:
		s.left, s.pick, s.size = 1, 0, 1
	}
}

// Timed tells how long a use took for which Next returned a weight.
func (s *Sampler) Timed(use time.Duration) {
	s.short = use < shortUse && s.mode == adaptive
}
