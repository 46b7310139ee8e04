package measure

import (
	"math/rand/v2"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/thread"
)

const (
	splitAfter  = 100                   // number of uses that must end before a use is sampled
	splitLonger = 10 * time.Millisecond // a pool with a use of this duration or longer is not sampled
	splitDelay  = 5 * time.Millisecond  // assumed delay by the first sample, in case the task communicates
	splitRepay  = 200                   // minimum time between samples, as a multiple of the last one's delay
)

// Split breaks down the time of tasks by the state of their threads: on a CPU, waiting for a CPU,
// or blocked. It samples about 100 tasks per second and scales the results to the total use time,
// which is known. Time in which Go's scheduler has no processor for a task counts as blocked, since
// the task's thread sleeps during that time. The work of goroutines that the task starts is not
// included.
//
// A sampled task is locked to its thread while it runs, which takes 10 µs and makes each of the
// task's waits more expensive. So only pools whose tasks are known to be short are sampled.
// Sampling starts after 100 tasks have ended and a further delay of a second or 200 times their
// mean duration, whichever is longer. It pauses while one of the last 100 tasks took 10 ms or
// longer. If a sampled task took longer than the mean of other tasks, the next sample is taken
// after 200 times the difference, so that sampling delays tasks by less than 0.5%.
//
// The zero Split samples nothing. The pool's lock guards a Split.
type Split struct {
	pace    time.Duration // mean time between samples; 0 means off
	next    time.Duration // earliest time of the next sample; 0 means immediately
	longest time.Duration // longest of the last ended uses
	before  time.Duration // longest of the splitAfter uses before that
	ended   int64         // number of uses that longest covers, less than splitAfter
	mean    float64       // exponentially weighted mean use, in nanoseconds
	warm    bool          // at least splitAfter uses have ended

	parts   [3]time.Duration // time of samples since the last call to Read, by instrument.CPUState
	until   float64          // use time that Read has already broken down
	seconds [3]float64
	known   bool
}

// Init initializes s. It turns sampling off if telemetry is off, or if the system does not report
// how long a thread waits for a CPU, which only Linux does.
func (s *Split) Init(t instrument.Timing) {
	if !t.Off && t.CPUSamples > 0 && thread.HasMeter {
		s.pace = time.Second / time.Duration(t.CPUSamples)
	}
}

// Sample measures one sampled task. A nil Sample measures nothing.
type Sample struct {
	meter thread.Meter
	split thread.Split
	known bool
}

// Next returns the Sample for a task that is about to start, or nil if the task is not sampled. It
// must be called for each task.
func (s *Split) Next(use Span) *Sample {
	early := s.next != 0 && use.at < s.next
	if s.pace == 0 || use.weight == 0 || early || !s.warm || max(s.longest, s.before) >= splitLonger {
		return nil
	}
	s.next = use.at + s.pace/2 + rand.N(s.pace)
	return new(Sample)
}

// Ended records the end of a task. It must be called for each task. sample is the result of Next,
// and took is the task's duration, or 0 if it is unknown.
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
			s.next = Clock() + splitRepay*max(splitDelay, time.Duration(s.mean))
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
		s.pace = 0 // the kernel does not record run-queue delay
		return
	}
	if delay := took - time.Duration(s.mean); delay > 0 {
		s.next = max(s.next, Clock()+splitRepay*min(delay, time.Hour))
	}
	s.parts[instrument.OnCPU] += sample.split.OnCPU
	s.parts[instrument.RunQueue] += sample.split.RunQueue
	s.parts[instrument.Blocked] += sample.split.Blocked
}

// Read breaks down useTime, the total use time in seconds, by instrument.CPUState. Until there is a
// new sample, the result does not include the use time since the last one. The result is absent
// before the first sample.
func (s *Split) Read(useTime float64) (seconds [3]instrument.Optional[float64]) {
	if total := s.parts[0] + s.parts[1] + s.parts[2]; total > 0 {
		for i, part := range s.parts {
			s.seconds[i] += (useTime - s.until) * float64(part) / float64(total)
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

// Begin locks the calling goroutine to its thread and starts to measure it. The caller must defer
// End.
func (s *Sample) Begin() {
	if s != nil {
		s.meter.Start()
	}
}

// End stops the measurement and unlocks the goroutine.
func (s *Sample) End() {
	if s != nil {
		s.split, s.known = s.meter.Stop()
	}
}
