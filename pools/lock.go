package pools

import "sync"

// shortLock is the mutex of Workers, whose critical sections of some 20 ns several CPUs enter all
// the time. While other goroutines are runnable, sync.Mutex blocks at once, which costs ten times
// the section. A goroutine that finds this one locked spins for about 1 µs, four times, before it
// blocks. That changes no order: requests that wait are in the queue. docs/benchmarks.md compares
// the two.
type shortLock struct {
	sync.Mutex
}

const (
	shortLockTries = 4
	shortLockPause = 3000 // turns of an empty loop, about 1 µs
)

// Lock locks l.
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
