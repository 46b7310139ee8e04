// Package spin has the mutex of the hot paths of pools.
package spin

import "sync"

// Mutex is a [sync.Mutex] for critical sections of some 10 ns, in which no goroutine should have to sleep. A goroutine that sleeps
// while it gives a slot back keeps the slot, so that all others run into a full pool and line up, and then every use costs a
// change of goroutines for as long as the load lasts. sync.Mutex puts it to sleep at once where other goroutines want to run, since it
// spins only where none does.
//
// Lock therefore tries for some 100 ns, which is enough while the holder runs, and then lets other threads run, which is enough
// if the holder's thread was preempted: the order in which the locks of Go's runtime do it (runtime.lock2). Only then it sleeps.
// The zero Mutex is unlocked.
type Mutex struct{ mu sync.Mutex }

const (
	tries  = 64
	yields = 16
)

// Lock locks m. It takes 6 ns if m is free.
func (m *Mutex) Lock() {
	if !m.mu.TryLock() {
		m.lockSlowly()
	}
}

func (m *Mutex) lockSlowly() {
	for range tries {
		if m.mu.TryLock() {
			return
		}
	}
	for range yields {
		yield()
		if m.mu.TryLock() {
			return
		}
	}
	m.mu.Lock()
}

// Unlock unlocks m, which must be locked.
func (m *Mutex) Unlock() { m.mu.Unlock() }
