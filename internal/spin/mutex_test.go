package spin

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestMutexExcludes(t *testing.T) {
	var m Mutex
	var wg sync.WaitGroup
	n := 0
	for range 16 {
		wg.Go(func() {
			for range 2000 {
				m.Lock()
				n++
				m.Unlock()
			}
		})
	}
	wg.Wait()
	if n != 16*2000 {
		t.Errorf("counted %d, want %d", n, 16*2000)
	}
}

func TestLockOutlastsALongHolder(t *testing.T) {
	var m Mutex
	m.Lock()
	var tried atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			tried.Add(1)
			m.Lock()
			defer m.Unlock()
			if tried.Load() >= 0 {
				t.Error("locked twice")
			}
		})
	}
	for tried.Load() < 4 {
		runtime.Gosched()
	}
	for range 1000 { // for them to come to the end of their tries
		runtime.Gosched()
	}
	tried.Store(-1 << 32) // from here on they may
	m.Unlock()
	wg.Wait()
}

// A goroutine that holds the lock for nearly all of its time must not keep the others away, even on one CPU, where it is only
// ever preempted while it holds it.
func TestNobodyStarves(*testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var m Mutex
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; !stop.Load(); {
			m.Lock()
			for range 10_000 {
				n++
			}
			m.Unlock()
		}
	})
	for range 20 {
		m.Lock()
		runtime.Gosched()
		m.Unlock()
	}
	stop.Store(true)
	wg.Wait()
}
