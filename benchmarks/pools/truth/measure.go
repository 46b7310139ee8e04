package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
)

const slots = 2

// load is a closed loop of uses in one goroutine for each slot.
type load struct {
	each, pause time.Duration
	// Every longEvery-th use is a long one; 0 means none.
	longEvery int
	long      time.Duration
	compute   time.Duration // CPU time used after each long use, while the slot is free
	// work and rest are the lengths of bursts and of the pauses between them; 0 means no bursts.
	work, rest time.Duration
}

// run applies the load to s until the given time.
func (l load) run(s subject, until time.Time) {
	use := s.use
	if l.each >= 10*time.Microsecond {
		use = s.await
	}
	begun := time.Now()
	for i := 1; time.Now().Before(until); i++ {
		d := l.each
		if l.longEvery > 0 && i%l.longEvery == 0 {
			d = l.long
		}
		use(func() { harness.Spin(d) })
		harness.Spin(l.pause)
		if l.longEvery > 0 && i%l.longEvery == 0 {
			harness.Spin(l.compute)
		}
		if l.work > 0 && time.Since(begun) > l.work {
			time.Sleep(l.rest)
			begun = time.Now()
		}
	}
}

// useTime compares use.time with the measured time, and checks every 10 ms that use.time does not
// exceed slots × elapsed time.
func useTime(open func(int) subject, l load, round time.Duration, within float64) result {
	start := time.Now()
	s := open(slots)
	defer s.stop()
	var all sync.WaitGroup
	for range slots {
		all.Go(func() { l.run(s, start.Add(round)) })
	}
	possible := true
	read := func() float64 {
		stats := s.stats()
		reported, _ := stats.UseTime.Get()
		possible = possible && reported <= slots*time.Since(start).Seconds()
		return reported
	}
	for time.Since(start) < round {
		time.Sleep(10 * time.Millisecond)
		read()
	}
	all.Wait()
	s.finish()
	reported := read()
	lower, upper := time.Duration(s.truth.lower.Load()).Seconds(), time.Duration(s.truth.upper.Load()).Seconds()
	upper = max(upper, lower)
	r := result{
		measured: fmt.Sprintf("%.4f–%.4f s of %d × %v", lower, upper, slots, round),
		reported: fmt.Sprintf("%.4f s (%+.2f%%)", reported, 100*off(reported, lower, upper)),
		bar:      fmt.Sprintf("±%.0f%%, never above slots × time", 100*within),
		met:      possible && max(off(reported, lower, upper), -off(reported, lower, upper)) <= within,
	}
	if !possible {
		r.reported += ", above slots × time"
	}
	return r
}

// off returns how far v is outside the range from lower to upper, relative to the nearer bound.
func off(v, lower, upper float64) float64 {
	switch {
	case v < lower:
		return v/lower - 1
	case v > upper:
		return v/upper - 1
	}
	return 0
}

// longUse checks, in many pools, whether the metrics show one use of 20 ms among 20,000 short ones
// on one slot. The long use sleeps, so that the pools use little CPU time.
func longUse(open func(int) subject, rounds int) result {
	const short, long = 20_000, 20 * time.Millisecond
	inHistogram, counted, possible := 0, 0, 0
	for range rounds {
		start := time.Now()
		s := open(1)
		chosen := rand.IntN(short)
		for i := range short {
			held := func() {}
			if i == chosen {
				held = func() { time.Sleep(long) }
			}
			s.use(held)
		}
		s.finish()
		stats := s.stats()
		passed := time.Since(start).Seconds()
		if stats.Use != nil && stats.Use.Max() >= long {
			inHistogram++
		}
		used, _ := stats.UseTime.Get()
		if used >= 0.99*long.Seconds() {
			counted++
		}
		if used <= passed {
			possible++
		}
		s.stop()
	}
	return result{
		measured: fmt.Sprintf("%d of %d", rounds, rounds),
		reported: fmt.Sprintf(
			"%d in the histogram, %d in use.time, %d not above slots × time",
			inHistogram,
			counted,
			possible,
		),
		bar: "all",
		met: inHistogram == rounds && counted == rounds && possible == rounds,
	}
}
