package measure

import (
	"math/rand/v2"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/thread"
)

const (
	splitAfter  = 100                   // uses that end before one is split
	splitLonger = 10 * time.Millisecond // a pool with a use as long as this is not split
	splitRepay  = 200                   // how many times the delay that a sample caused passes before the next
)

// Split divides the time of tasks into what their threads spent on a CPU, ready without one, and
// blocked. It samples about 100 tasks a second and scales their parts to the use time, which is
// known.
//
// A task that is sampled is locked to its thread while it runs, which takes 10 µs and makes each of
// its waits more expensive. So only tasks that are known to be short are sampled: none before 100
// have ended and 200 times their mean has passed, and none in a pool where one of the last 100 took
// 10 ms. When a sample took longer than the mean of the others, the next one comes after 200 times
// the difference, so that samples delay tasks by less than 0.5 %. Time in which a task is ready and
// Go's scheduler has no processor for it counts as blocked, since its thread sleeps then. What
// goroutines do that the task starts is not counted.
//
// The zero Split samples nothing. The lock of the pool guards it.
type Split struct {
	pace    time.Duration // wanted between two samples; 0 is off
	next    time.Duration // not before; 0 is at once
	longest time.Duration // of the uses since ended was 0
	before  time.Duration // of the splitAfter uses before those
	ended   int64         // uses, up to splitAfter
	mean    float64       // of the uses, in nanoseconds, exponentially weighted
	warm    bool          // splitAfter uses have ended

	parts   [3]time.Duration // of the samples since the last reading, by instrument.CPUState
	until   float64          // the use time that is divided
	seconds [3]float64
	known   bool
}

// Init makes the Split of a pool. It samples nothing without telemetry, and where the system does
// not report how long a thread waits for a CPU: anywhere but on Linux.
func (s *Split) Init(t instrument.Timing) {
	if !t.Off && t.CPUSamples > 0 && thread.HasMeter {
		s.pace = time.Second / time.Duration(t.CPUSamples)
	}
}

// Sample is a task whose time is divided. The nil Sample is one whose time is not.
type Sample struct {
	meter thread.Meter
	split thread.Split
	known bool
}

// Next is called for tasks that are about to begin. It returns nil for one that is not sampled.
func (s *Split) Next(use Span) *Sample {
	early := s.next != 0 && use.at < s.next
	if s.pace == 0 || use.weight == 0 || early || !s.warm || max(s.longest, s.before) >= splitLonger {
		return nil
	}
	s.next = use.at + s.pace/2 + rand.N(s.pace)
	return new(Sample)
}

// Ended is called for each task that ends, with its sample and how long it took, 0 if that is not
// known.
func (s *Split) Ended(sample *Sample, took time.Duration) {
	if s.pace == 0 || took == 0 {
		return
	}
	if sample != nil {
		s.add(sample, took)
		return
	}
	s.longest = max(s.longest, took)
	if s.ended++; s.ended == splitAfter {
		if !s.warm {
			s.next = Clock() + splitRepay*time.Duration(s.mean)
		}
		s.before, s.longest, s.ended, s.warm = s.longest, 0, 0, true
	}
	if s.mean == 0 {
		s.mean = float64(took)
	}
	s.mean += (float64(took) - s.mean) / 32
}

func (s *Split) add(sample *Sample, took time.Duration) {
	if !sample.known {
		s.pace = 0 // the kernel does not account the wait for a CPU
		return
	}
	if delay := took - time.Duration(s.mean); delay > 0 {
		s.next = max(s.next, Clock()+splitRepay*min(delay, time.Hour))
	}
	s.parts[instrument.OnCPU] += sample.split.OnCPU
	s.parts[instrument.RunQueue] += sample.split.RunQueue
	s.parts[instrument.Blocked] += sample.split.Blocked
}

// Read divides the use time, in seconds, up to the last sample; absent before the first one.
func (s *Split) Read(useTime float64) (seconds [3]instrument.Optional[float64]) {
	if whole := s.parts[0] + s.parts[1] + s.parts[2]; whole > 0 {
		for i, part := range s.parts {
			s.seconds[i] += (useTime - s.until) * float64(part) / float64(whole)
		}
		s.until, s.parts, s.known = useTime, [3]time.Duration{}, true
	}
	if s.known {
		for i, v := range s.seconds {
			seconds[i] = instrument.Some(v)
		}
	}
	return seconds
}

// Begin starts to measure the calling goroutine, and locks it to its thread. The caller must call
// End whatever happens: defer it.
func (s *Sample) Begin() {
	if s != nil {
		s.meter.Start()
	}
}

// End ends what Begin began.
func (s *Sample) End() {
	if s != nil {
		s.split, s.known = s.meter.Stop()
	}
}
