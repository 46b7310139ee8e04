package measure

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/thread"
)

// short returns a span that begins now.
func short() Span { return Span{at: Clock(), weight: 1} }

func warmSplit(took time.Duration) *Split {
	s := new(Split)
	s.Init(instrument.Timing{CPUSamples: 100})
	for range splitAfter {
		s.Ended(nil, took)
	}
	s.next = 0 // as if the time before the first sample had passed
	return s
}

func TestTheFirstTasksAreNotSampled(t *testing.T) {
	if !thread.HasMeter {
		t.Skip("no system but Linux reports the wait for a CPU")
	}
	for took, pause := range map[time.Duration]time.Duration{
		100 * time.Microsecond: time.Second, // a sampled pipeline may take 5 ms longer
		8 * time.Millisecond:   1600 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(Split)
			s.Init(instrument.Timing{CPUSamples: 100})
			for i := range splitAfter {
				if s.Next(short()) != nil {
					t.Fatalf("task %d of %v is sampled", i, took)
				}
				s.Ended(nil, took)
			}
			time.Sleep(pause - 1)
			if s.Next(short()) != nil {
				t.Errorf("a task of %v is sampled before %v have passed", took, pause)
			}
			time.Sleep(time.Millisecond)
			if s.Next(short()) == nil {
				t.Errorf("no task of %v is sampled after %v", took, pause)
			}
			if s.Next(short()) != nil {
				t.Errorf("two successive tasks of %v are sampled", took)
			}
		})
	}
}

func TestPoolsWithLongTasksAreNotSampled(t *testing.T) {
	s := warmSplit(time.Millisecond)
	s.Ended(nil, splitLonger)
	for range splitAfter {
		if s.Next(short()) != nil {
			t.Fatal("a task that may be long is sampled")
		}
		s.Ended(nil, time.Millisecond)
	}
	for range splitAfter {
		s.Ended(nil, time.Millisecond)
	}
	if thread.HasMeter && s.Next(short()) == nil {
		t.Error("no task is sampled although the last long one was long ago")
	}
}

// Samples delay tasks by less than 0.5%: the next sample is taken only after 200 times the delay of
// the previous one.
func TestSamplingPausesAfterADelay(t *testing.T) {
	if !thread.HasMeter {
		t.Skip("no system but Linux reports the wait for a CPU")
	}
	synctest.Test(t, func(t *testing.T) {
		s := warmSplit(time.Millisecond)
		sample := s.Next(short())
		sample.known = true
		s.Ended(sample, 6*time.Millisecond)
		time.Sleep(950 * time.Millisecond)
		if s.Next(short()) != nil {
			t.Error("another task is sampled before 200 times the delay of 5 ms has passed")
		}
		time.Sleep(100 * time.Millisecond)
		if s.Next(short()) == nil {
			t.Error("no task is sampled after 200 times the delay has passed")
		}
	})
}

// The parts add up to the use time, even if the mix of tasks changes.
func TestTheSplitAddsUpToTheUseTime(t *testing.T) {
	s := warmSplit(time.Millisecond)
	add := func(cpu, queue, blocked time.Duration) {
		s.add(
			&Sample{known: true, split: thread.Split{OnCPU: cpu, RunQueue: queue, Blocked: blocked}},
			time.Millisecond,
		)
	}
	if _, known := s.Read(1)[instrument.OnCPU].Get(); known {
		t.Error("got a split before the first sample")
	}
	add(3, 1, 0)
	s.Read(8)
	add(0, 1, 1)
	add(0, 1, 1)
	got := s.Read(12)
	s.Read(20) // adds nothing, because there is no new sample
	for state, want := range map[instrument.CPUState]float64{instrument.OnCPU: 6, instrument.RunQueue: 2 + 2, instrument.Blocked: 2} {
		if v := got[state].Or(-1); v != want {
			t.Errorf("%v: got %v s, want %v s", state, v, want)
		}
	}
	add(1, 0, 0)
	sum := 0.0
	for _, v := range s.Read(20) {
		sum += v.Or(0)
	}
	if sum != 20 {
		t.Errorf("the parts add up to %v s, want 20 s", sum)
	}
}
