package pools

import "sync"

// shortLock is the mutex of Workers. It is meant for critical sections of about 20 ns that several
// CPUs contend for. While other goroutines are runnable, a sync.Mutex blocks without spinning,
// which costs ten times as much as the critical section. A shortLock spins up to four times, about
// 1 µs each, before it blocks. Spinning does not change the order of requests, since waiting
// requests are in a queue. docs/benchmarks.md compares shortLock with sync.Mutex.
type shortLock struct {
	sync.Mutex
}

const (
	shortLockTries = 4
	shortLockPause = 3000 // number of iterations of an empty loop, about 1 µs
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
