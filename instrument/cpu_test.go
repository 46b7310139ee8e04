package instrument

import (
	"bytes"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/thread"
)

func newSampler(t *testing.T, opts ...Option) CPUSampler {
	t.Helper()
	if !thread.HasMeter {
		t.Skip("threads are not measured here")
	}
	return NewCPUSampler(opts...)
}

// chosen plays a pool whose n tasks begin after each other, and returns which were chosen, with their weights.
func chosen(s *CPUSampler, start time.Duration, first, n int64, took func(i int64) time.Duration) map[int64]float64 {
	all := map[int64]float64{}
	for i := first; i < first+n; i++ {
		if c := s.Next(start, i+1); c != nil {
			all[i] = c.weight
		}
		start += took(i)
	}
	return all
}

func every(d time.Duration) func(int64) time.Duration {
	return func(int64) time.Duration { return d }
}

func TestCPUSamplerKeepsItsPaceAndItsWeights(t *testing.T) {
	for name, c := range map[string]struct {
		took        time.Duration
		n           int64
		least, most int
		perSecond   int
	}{
		"short tasks":      {10 * time.Microsecond, 1_000_000, 800, 1250, 100},
		"as asked":         {10 * time.Microsecond, 1_000_000, 60, 150, 10},
		"tasks of 1 ms":    {time.Millisecond, 10_000, 800, 1250, 100},
		"long tasks: all":  {20 * time.Millisecond, 500, 500, 500, 100},
		"at the same time": {0, 1_000_000, 2, 60, 100},
	} {
		s := newSampler(t, WithCPUSamples(c.perSecond))
		got := chosen(&s, time.Hour, 0, c.n, every(c.took))
		if len(got) < c.least || len(got) > c.most {
			t.Errorf("%s: %d of %d tasks chosen, want %d to %d", name, len(got), c.n, c.least, c.most)
		}
		var weight, last int64
		for i, w := range got {
			weight += int64(w)
			last = max(last, i)
		}
		if weight != last+1 {
			t.Errorf("%s: the samples up to task %d stand for %d tasks", name, last, weight)
		}
	}
}

// Whoever chose the first task after so much time would see only the short ones here, since that time passes in long ones.
func TestCPUSamplerIsNotFooledByAPattern(t *testing.T) {
	s := newSampler(t)
	const n = 100_000
	var long, short float64
	for i, w := range chosen(&s, time.Hour, 0, n, func(i int64) time.Duration { return []time.Duration{5 * time.Millisecond, 10 * time.Microsecond}[i%2] }) {
		if i%2 == 0 {
			long += w
		} else {
			short += w
		}
	}
	if share := long / (long + short); share < 0.45 || share > 0.55 {
		t.Errorf("half of the tasks are long, the samples say %.2f", share)
	}
}

func TestCPUSamplerFollowsTasksThatBecomeLong(t *testing.T) {
	s := newSampler(t)
	chosen(&s, time.Hour, 0, 1_000_000, every(time.Microsecond))
	if got := chosen(&s, time.Hour+time.Second, 1_000_000, 20, every(time.Second)); len(got) < 15 {
		t.Errorf("%d of 20 tasks chosen that take a second each", len(got))
	}
}

func TestCPUSamplerThatIsOff(t *testing.T) {
	for name, s := range map[string]CPUSampler{
		"zero":              {},
		"none wanted":       NewCPUSampler(WithCPUSamples(0)),
		"without telemetry": NewCPUSampler(WithoutTelemetry()),
	} {
		c := s.Next(time.Hour, 1)
		if c != nil {
			t.Errorf("%s: chooses a task", name)
		}
		ran := false
		c.Run(func() { ran = true })
		s.Add(c)
		if _, known := s.Time()[OnCPU].Get(); known || !ran {
			t.Errorf("%s: ran %v, time known %v", name, ran, known)
		}
	}
}

func TestCPUSamplerStopsWhereNothingIsKnown(t *testing.T) {
	s := newSampler(t)
	s.Add(&CPUSample{weight: 1})
	if s.Next(time.Hour, 100) != nil {
		t.Error("still chooses tasks")
	}
	if _, known := s.Time()[Blocked].Get(); known {
		t.Error("reports time that nobody measured")
	}
}

func TestCPUSamplerAddsUp(t *testing.T) {
	s := newSampler(t)
	if _, known := s.Time()[OnCPU].Get(); known {
		t.Error("a time before the first sample")
	}
	s.Add(&CPUSample{weight: 3, known: true, split: thread.SplitOf(10*time.Second, time.Second, 2*time.Second)})
	s.Add(&CPUSample{weight: 1, known: true, split: thread.SplitOf(time.Second, time.Second, 0)})
	for state, want := range map[CPUState]float64{OnCPU: 4, RunQueue: 6, Blocked: 21} {
		if got := s.Time()[state].Or(-1); got != want {
			t.Errorf("%v: %v s, want %v", state, got, want)
		}
	}
}

func locked() bool {
	buf := make([]byte, 200)
	return bytes.Contains(buf[:runtime.Stack(buf, false)], []byte("locked to thread"))
}

func TestCPUSampleUnlocksWhateverHappens(t *testing.T) {
	for name, end := range map[string]func(){
		"return": func() {},
		"panic":  func() { panic("as meant") },
		"Goexit": runtime.Goexit,
	} {
		s := newSampler(t)
		c := s.Next(time.Hour, 1)
		var inside, after bool
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				_ = recover()
				after = locked()
			}()
			c.Run(func() {
				inside = locked()
				end()
			})
		})
		wg.Wait()
		if !inside || after {
			t.Errorf("%s: locked to the thread %v in the task and %v after it", name, inside, after)
		}
		s.Add(c)
		if got := s.Time()[OnCPU].Or(0); got <= 0 {
			t.Errorf("%s: %v s on the CPU", name, got)
		}
	}
}
