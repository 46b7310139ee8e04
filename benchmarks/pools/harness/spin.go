package harness

import (
	"math"
	"runtime"
	"time"
)

// loops is how many iterations of work take a nanosecond of CPU time. Only Calibrate writes it,
// while nothing spins.
var loops float64

// Spin uses the CPU for d without yielding. It is as exact as the last Calibrate: the speed of the
// machine may have changed since.
func Spin(d time.Duration) { work(int(float64(d) * loops)) }

// work runs n iterations of a loop. It is never inlined, since copies of the loop could differ in
// alignment, and so in speed.
//
//go:noinline
func work(n int) {
	for range n {
		continue
	}
}

// Calibrate measures the current speed of the CPU. The harness calls it at the start of every
// round.
func Calibrate() { loops = 1 / perLoop() }

// spun returns the CPU time, in nanoseconds, that a Spin of nominally one nanosecond takes now. It
// is 1 while the calibration is accurate.
func spun() float64 { return perLoop() * loops }

// perLoop returns the CPU time of an iteration of work, in nanoseconds. It takes the minimum of
// several tries, since interrupts count as CPU time of this process.
func perLoop() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const n = 1 << 18
	best := time.Duration(math.MaxInt64)
	for range 5 {
		start := threadTime()
		work(n)
		best = min(best, threadTime()-start)
	}
	return float64(best) / n
}
