// Package spin has the mutex of the hot paths of pools.
package spin

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Mutex is a [sync.Mutex] for critical sections of some 10 ns, for which goroutines should not sleep. The zero Mutex is unlocked.
//
// A goroutine that sleeps on the lock of a pool while it gives a slot back keeps the slot meanwhile, so that all others run into
// a full pool and line up, and then every use costs a change of goroutines for as long as the load lasts. sync.Mutex puts it to
// sleep as soon as other goroutines want to run, since it spins only where none does; with it alone 64 goroutines on 2 resources
// take five times as long.
//
// Lock therefore tries for some 100 ns, which is enough while the holder runs; then it lets other threads run, which is enough if
// the holder's thread was preempted; then other goroutines, which is enough if the holder was. The runtime's own locks do the
// same (runtime.lock2). What is left is a lock that is held for most of the time, where only sleeping in line is fair.
type Mutex struct {
	mu       sync.Mutex
	sleepers atomic.Int32 // goroutines that have given up trying; while there are any, trying is in vain and unfair
}

const (
	tries    = 64
	yields   = 16
	switches = 2
)

// Lock locks m. It takes 6 ns if m is free.
func (m *Mutex) Lock() {
	if !m.mu.TryLock() {
		m.lockSlowly()
	}
}

func (m *Mutex) lockSlowly() {
	if m.sleepers.Load() == 0 && m.insist() {
		return
	}
	m.sleepers.Add(1)
	m.mu.Lock()
	m.sleepers.Add(-1)
}

// insist tries for a while, and reports whether it has locked m.
func (m *Mutex) insist() bool {
	for i := range tries + yields + switches {
		if m.mu.TryLock() {
			return true
		}
		if i >= tries {
			yield()
		}
		if i >= tries+yields {
			runtime.Gosched()
		}
	}
	return false
}

// Unlock unlocks m, which must be locked.
func (m *Mutex) Unlock() { m.mu.Unlock() }
