package harness

import (
	"runtime"
	"time"
)

// AtRate measures the CPU cost of a use when uses start at the given interval and the CPU spins
// between them. Wall is the duration of a use minus that of an empty use. CPU also includes the CPU
// time of other threads (timers, background work), again minus that of empty uses. Neither includes
// the time spent spinning, whose noise exceeds the cost of a use.
func AtRate(name, order string, every time.Duration, open func() (use, stop func())) Subject {
	return Subject{Name: name, Order: order, Measure: func(n int) Sample {
		use, stop := open()
		if stop != nil {
			defer stop()
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		empty := func() {}
		paced(n/5+1, every, use) // warm-up: pools adapt to the rate
		runtime.GC()
		used, idle := paced(n, every, use), paced(n, every, empty)
		return Sample{
			CPU:  used.self - idle.self + used.others - idle.others,
			Wall: used.self - idle.self,
			Max:  used.max,
		}
	}}
}

// pace holds the mean times of uses, and the longest time, in nanoseconds.
type pace struct{ self, others, max float64 }

func paced(n int, every time.Duration, use func()) pace {
	const interrupted = 20 * time.Microsecond // a use that takes longer was interrupted
	var sum, slowest time.Duration
	base := time.Now()
	all, own := cpuTime(), threadTime()
	for range n {
		Spin(every)
		start := time.Since(base)
		use()
		took := time.Since(base) - start
		sum += min(took, interrupted)
		slowest = max(slowest, took)
	}
	all, own = cpuTime()-all, threadTime()-own
	return pace{float64(sum) / float64(n), float64(all-own) / float64(n), float64(slowest)}
}
