package instrument

import (
	"math/rand/v2"
	"time"

	"github.com/poolgauge/poolgauge/internal/thread"
)

const (
	cpuPatience = time.Second // after which a task is split even though it is not yet its turn
)

// CPUSampler splits the time of tasks into what their threads spent on a CPU, ready and without one, and blocked. It does that to a
// sample of them, at most about 100 a second, and lets each stand for those since the one before, so that what it reports are
// estimates of the whole. The gaps are random, so that no pattern in the tasks hides from it.
//
// A task that was chosen is locked to its thread while it runs, which takes 7 µs, and makes each of its waits a little dearer.
// Otherwise a choice costs about 2 ns. Time in which a task is ready and Go's scheduler has no processor for it counts as blocked,
// since its thread sleeps then. What goroutines do that the task starts is not in it.
//
// The zero CPUSampler chooses no task. It has no lock: whoever owns it guards it.
//
//	sample := p.cpu.Next(instrument.Now(), begun) // mostly nil
//	…
//	sample.Run(task)
//	…
//	p.cpu.Add(sample)
type CPUSampler struct {
	pace    time.Duration // wanted between two samples; 0 is off
	last    time.Duration // when the last one was chosen
	counted int64         // tasks that samples stand for
	turn    int64         // the task that is next
	mean    int64         // of the gap, in tasks
	seconds [3]float64    // by CPUState
	known   bool
}

// NewCPUSampler returns the CPUSampler of a pool that was given opts. It chooses none without telemetry, and where the system does not
// tell how long a thread waits for a CPU: anywhere but on Linux.
func NewCPUSampler(opts ...Option) CPUSampler {
	s := settingsOf(opts)
	if s.timing.Off || s.timing.CPUSamples < 1 || !thread.HasMeter {
		return CPUSampler{}
	}
	return CPUSampler{pace: time.Second / time.Duration(s.timing.CPUSamples), mean: 1}
}

// CPUSample is one task whose time is split. The nil CPUSample is one whose time is not.
type CPUSample struct {
	weight float64
	meter  thread.Meter
	split  thread.Split
	known  bool
}

// Next is called for tasks that are about to begin, with the time and the number of tasks that have begun, this one included. It need
// not be called for all of them, as long as what is left out does not depend on the tasks. It returns nil for one that is not chosen.
func (s *CPUSampler) Next(now time.Duration, begun int64) *CPUSample {
	if s.pace == 0 || begun < s.turn && now-s.last < cpuPatience {
		return nil
	}
	weight := begun - s.counted
	if s.counted > 0 {
		// As many tasks as came in the pace wanted, but no leap: two that begin together say little of those to come.
		perPace := float64(weight) * float64(s.pace) / float64(max(now-s.last, 1))
		s.mean = int64(max(1, min(perPace, 2*float64(s.mean))))
	}
	s.last, s.counted = now, begun
	s.turn = begun + 1 + rand.Int64N(2*s.mean-1)
	return &CPUSample{weight: float64(weight)}
}

// Run calls task, and measures it if the sample is not nil. A panic and [runtime.Goexit] go through, and count as its end.
func (c *CPUSample) Run(task func()) {
	c.Begin()
	defer c.End()
	task()
}

// Begin starts to measure the calling goroutine, and locks it to its thread. It must call End whatever happens: defer it.
func (c *CPUSample) Begin() {
	if c != nil {
		c.meter.Start()
	}
}

// End ends what Begin began.
func (c *CPUSample) End() {
	if c != nil {
		c.split, c.known = c.meter.Stop()
	}
}

// Add counts a sample that has ended. It does nothing for nil.
func (s *CPUSampler) Add(c *CPUSample) {
	switch {
	case c == nil:
	case !c.known:
		s.pace = 0 // the kernel does not keep the wait for a CPU: there is no point in trying on
	default:
		s.known = true
		s.seconds[OnCPU] += c.weight * c.split.OnCPU.Seconds()
		s.seconds[RunQueue] += c.weight * c.split.RunQueue.Seconds()
		s.seconds[Blocked] += c.weight * c.split.Blocked.Seconds()
	}
}

// Time returns the seconds of all tasks so far, as far as samples tell, by [CPUState]; absent before the first one.
func (s *CPUSampler) Time() (seconds [3]Optional[float64]) {
	if s.known {
		for i, v := range s.seconds {
			seconds[i] = Some(v)
		}
	}
	return seconds
}
