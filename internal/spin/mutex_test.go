package spin

import (
	"sync"
	"testing"
	"time"
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
	locked := make(chan struct{})
	go func() {
		m.Lock()
		close(locked)
		m.Unlock()
	}()
	select {
	case <-locked:
		t.Fatal("locked twice")
	case <-time.After(20 * time.Millisecond): // far more than all tries
	}
	m.Unlock()
	<-locked
}
