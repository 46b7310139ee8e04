package harness

import (
	"math"
	"runtime"
	"time"
)

// loops is how many iterations of work take a nanosecond of CPU. Only Calibrate writes it, while
// nothing spins.
var loops float64

// Spin uses the CPU for d, as long as the speed of the machine is what it was at the last
// Calibrate. It never yields.
func Spin(d time.Duration) { work(int(float64(d) * loops)) }

// work is never inlined: each copy of the loop could be aligned, and so be fast, in its own way.
//
//go:noinline
func work(n int) {
	for range n {
		continue
	}
}

// Calibrate measures how fast the CPU is now. The harness does so at the start of every round.
func Calibrate() { loops = 1 / perLoop() }

// spun returns how long a nanosecond of Spin takes now, in nanoseconds of CPU.
func spun() float64 { return perLoop() * loops }

// perLoop returns what an iteration takes of the CPU, in nanoseconds: the least of several tries,
// since interrupts count as ours.
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
