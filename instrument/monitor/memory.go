package monitor

import (
	"sync"
	"time"
)

const memoryInterval = 100 * time.Millisecond

// Memory is the resident memory of the process, in bytes.
type Memory struct {
	Start, End int64

	// Peak is the most during the run. The kernel keeps the peak of the process's whole life: if
	// the run exceeded what was there before, that is exact. Otherwise the peak is the most of ten
	// readings a second, and shorter ones may have been missed.
	Peak  int64
	Exact bool
}

// reading is what the kernel says of the process.
type reading struct {
	resident int64
	peak     int64 // of its life
}

// watch reads the memory of the process again and again.
type watch struct {
	read  func() (reading, bool)
	stop  chan struct{}
	done  sync.WaitGroup
	known bool
	first reading
	most  int64 // the goroutine's, until it is done
}

// watchMemory starts to watch. Where nothing is known, there is no goroutine either.
func watchMemory() *watch {
	return newWatch(readMemory)
}

func newWatch(read func() (reading, bool)) *watch {
	w := &watch{read: read, stop: make(chan struct{})}
	if w.first, w.known = read(); w.known {
		w.most = w.first.resident
		w.done.Go(w.run)
	}
	return w
}

func (w *watch) run() {
	ticks := time.NewTicker(memoryInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			if now, ok := w.read(); ok {
				w.most = max(w.most, now.resident)
			}
		case <-w.stop:
			return
		}
	}
}

// end stops watching. It returns nil where nothing is known.
func (w *watch) end() *Memory {
	close(w.stop)
	w.done.Wait()
	last, ok := w.read()
	if !w.known || !ok {
		return nil
	}
	m := &Memory{Start: w.first.resident, End: last.resident, Peak: max(w.most, last.resident)}
	if last.peak > w.first.peak {
		m.Peak, m.Exact = max(m.Peak, last.peak), true
	}
	return m
}
