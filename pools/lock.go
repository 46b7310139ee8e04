package pools

import (
	"sync"
	"sync/atomic"
)

// shortLock is a mutex for critical sections of some 10 ns that several CPUs enter all the time. Where goroutines are runnable,
// as they are then, sync.Mutex goes to sleep at once, which costs ten times the section, for the sleeper and for whoever wakes
// it. Looking again at once is no better: the lock and all that it guards move between the CPUs for each section. So whoever
// finds it taken keeps away for about 1 µs, in which the other gets some twenty sections done, and sleeps after four times.
// Measured with 8 goroutines that submit empty tasks on 2 CPUs of their own, CPU ns a task: sync.Mutex 380, looking again after
// 5 ns 250, after 1 µs 160.
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

// lineLock is the lock of a pool for whose slots callers may stand in line. While none does it is a shortLock. While there is a line
// whoever finds it taken sleeps at once, since nearly all who come will have to sleep anyway; and whoever has the lock keeps it while he
// wakes those whom he gives a slot. So a load that does little else than hand over slots soon runs on one CPU. A second one costs it more
// than it gains: the caches and the lock of Go's scheduler, which every hand-over takes several times, move to and fro. Measured with 64
// goroutines that use 2 slots and let others run meanwhile, on 2 CPUs, CPU ns a use: 600 to 900, as a shortLock 1700 to 3000.
type lineLock struct {
	shortLock
	lined atomic.Bool // there is a line; changed only by who has the lock
}

// Lock locks l.
func (l *lineLock) Lock() {
	if !l.TryLock() {
		l.lockTaken()
	}
}

func (l *lineLock) lockTaken() {
	if l.lined.Load() {
		l.Mutex.Lock()
	} else {
		l.lockSlow()
	}
}

// setLined says whether there is a line. Caller must have the lock.
func (l *lineLock) setLined(lined bool) {
	if l.lined.Load() != lined {
		l.lined.Store(lined)
	}
}
