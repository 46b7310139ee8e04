package instrument

import (
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

const (
	sampleEvery = 32                    // uses per timed one, on average, where uses are short
	shortUse    = 10 * time.Microsecond // where reading the clock twice starts to cost less than 1 % of the use
)

// Sampler chooses the uses of a pool that are timed, and says how many uses each of them stands for. While uses are long, at
// least 10 µs, every one is timed, and that costs less than 1 % of it. While they are short, one of 32 is, with a random gap so
// that no pattern in the uses hides from it. The weights add up to the number of uses, but for the few since the last sample.
//
// So counts are right, and so is the time used where the length of uses changes seldom. Bursts of some tens of long uses among many
// short ones are overrated, by a third at worst (30 at a time): the first of them that is timed stands for short ones before it as
// well. Exact timing has no such error.
//
// The zero Sampler does this; [Config.Sampler] returns one that follows the options of the pool. It has no lock: whoever owns it
// guards it. The choice costs about 1 ns for a use that is not timed.
type Sampler struct {
	since uint32 // uses since the last sample
	gap   uint32 // from the last sample to the next; 0 is 1
	mode  sampling
}

type sampling uint8

const (
	adaptive sampling = iota
	exact
	never
)

// Next is called once for each use, before it starts. It returns the number of uses that this one stands for, itself included,
// or 0 when it is not to be timed.
func (s *Sampler) Next() (weight uint64) {
	s.since++
	if s.since < s.gap || s.mode == never {
		return 0
	}
	weight = uint64(s.since)
	s.since = 0
	return weight
}

// Timed tells how long a use took for which Next returned a weight.
func (s *Sampler) Timed(use time.Duration) {
	s.gap = 1
	if use < shortUse && s.mode == adaptive {
		s.gap = 1 + rand.Uint32N(2*sampleEvery-1)
	}
}
