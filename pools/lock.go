package pools

import "sync"

// shortLock is the mutex of Workers. Its critical sections take about 20 ns, and several CPUs enter
// them all the time. While other goroutines are runnable, sync.Mutex blocks at once, which costs
// ten times as much as the section. A shortLock spins up to four times, about 1 µs each, before it
// blocks. Spinning does not change the order of requests, since waiting requests are in the queue.
// docs/benchmarks.md compares the two.
type shortLock struct {
	sync.Mutex
}

const (
	shortLockTries = 4
	shortLockPause = 3000 // iterations of an empty loop, about 1 µs
)

// Lock locks l. It spins for a few µs before it blocks.
func (l *shortLock) Lock() {
	if !l.TryLock() {
		l.lockSlow()
	}
}

func (l *shortLock) lockSlow() {
	for range shortLockTries {
		for range shortLockPause {
			continue
		}
		if l.TryLock() {
			return
		}
	}
	l.Mutex.Lock()
}
