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

const (
	// shortUse is where timing a use starts to cost less than 1 % of it.
	shortUse = 10 * time.Microsecond
	// sampleTime is what timing may cost: a hundred times what it does cost, so that it takes 1 % of the time at most.
	sampleTime = 10 * time.Microsecond
	// sampleBurst is how many uses may come at once before that counts.
	sampleBurst = 100
)

// The blocks of which one use is timed.
const (
	blockOfAll  = 1
	blockOfMany = 32  // of short uses, above 100,000 a second
	blockOfMost = 128 // above 1,000,000
)

// Sampler chooses the uses of a pool that are timed, and says how many uses each of them stands for. Uses of 10 µs or longer are all timed,
// which costs less than 1 % of them; and so are short ones while fewer than 100,000 begin in a second, bursts of 100 left aside, which costs
// less than 1 % of a CPU. Of more one of each 32 is, and above a million a second one of each 128, at random: a stratified sample (Cochran, Sampling
// Techniques, 1977, chapter 5). How the next block is treated follows from the last use that was timed and from how fast they come, and what
// follows does not change the choice, so that the time of the uses comes out right on average, whatever their pattern. After a rush it takes
// two blocks, of uses that may be rare by then, until all are timed again.
//
// The zero Sampler does this; [NewSampler] returns one that follows the options of the pool. It has no lock: whoever owns it
// guards it. The choice costs about 1 ns for a use that is not timed. [Sampled] adds up what was timed.
type Sampler struct {
	skip  uint32 // uses that begin before the next that is timed
	rest  uint32 // of its block, after it
	size  uint32 // of its block; 0 before the first
	short bool   // what the last timed use was
	shard bool   // it does not see all uses
	mode  sampling
	last  time.Duration // when a use was last timed
	saved time.Duration // for timing; below 0 not every use is timed
}

type sampling uint8

const (
	adaptive sampling = iota
	exact
	never
)

// Next is called once for each use, when it begins. It returns the number of uses that this one stands for, some before it and
// some to come, and the time; or 0 when it is not to be timed.
func (s *Sampler) Next() (weight uint32, now time.Duration) {
	if s.skip == 0 {
		return s.choose()
	}
	s.skip--
	return
}

func (s *Sampler) choose() (weight uint32, now time.Duration) {
	now = Now()
	return s.chooseAt(now), now
}

// chooseAt chooses the use that begins now, and the next one: anyone of its block.
func (s *Sampler) chooseAt(now time.Duration) (weight uint32) {
	if s.mode == never {
		s.skip = math.MaxUint32
		return 0
	}
	if s.size == 0 {
		s.size, s.last, s.saved = blockOfAll, now, sampleBurst*sampleTime
	}
	weight = s.size
	s.size = s.nextSize(now)
	pick := rand.Uint32N(s.size)
	s.skip, s.rest = s.rest+pick, s.size-1-pick
	return weight
}

// nextSize returns the size of the next block, when a use of this one is timed.
func (s *Sampler) nextSize(now time.Duration) uint32 {
	const most = sampleBurst * sampleTime
	passed, wanted := now-s.last, time.Duration(s.size)*sampleTime
	s.last = now
	s.saved = min(max(s.saved+passed-wanted, -most), most)
	switch {
	case !s.short || s.saved >= 0 && !s.shard:
		return blockOfAll
	case passed < wanted/10:
		return blockOfMost
	default:
		return blockOfMany
	}
}

// Shard makes s one of several samplers of a pool, none of which knows how fast uses come: it samples short ones at any rate.
func (s *Sampler) Shard() {
	s.shard = true
}

// Timed tells how long a use took for which Next returned a weight.
func (s *Sampler) Timed(use time.Duration) {
	s.short = use < shortUse && s.mode == adaptive
}

// NewSampler returns the Sampler of a pool that was given opts. It may be copied before its first use, for one per shard; see [Sampler.Shard].
func NewSampler(opts ...Option) Sampler {
	t := TimingOf(opts...)
	switch {
	case t.Off:
		return Sampler{mode: never}
	case t.Exact:
		return Sampler{mode: exact}
	}
	return Sampler{}
}

// Off reports whether the pool was made [WithoutTelemetry], so that it need not time waits either.
func (s *Sampler) Off() bool {
	return s.mode == never
}

// Exact reports whether the pool was made [WithExactTiming], for one that chooses what it times by itself.
func (s *Sampler) Exact() bool {
	return s.mode == exact
}
