package monitor

import (
	"sync"
	"time"
)

const memoryInterval = 100 * time.Millisecond

// Memory describes the process's resident memory during a run, in bytes.
type Memory struct {
	Start, End int64

	// Peak is the highest value during the run. It is exact if the run exceeded the process's
	// previous peak, since the kernel records the peak. Otherwise it is the highest of ten readings
	// per second, which may miss a short peak.
	Peak  int64
	Exact bool
}

// reading is the process's resident memory as the kernel reports it.
type reading struct {
	resident int64
	peak     int64 // highest value since the process started
}

// watch reads the process's memory use at regular intervals.
type watch struct {
	read  func() (reading, bool)
	stop  chan struct{}
	done  sync.WaitGroup
	known bool
	first reading
	most  int64 // highest resident memory; owned by the watching goroutine until it ends
}

// watchMemory starts a watch. If the memory use cannot be read, it starts no goroutine.
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
	ticks := time.Tick(memoryInterval)
	for {
		select {
		case <-ticks:
			if now, ok := w.read(); ok {
				w.most = max(w.most, now.resident)
			}
		case <-w.stop:
			return
		}
	}
}

// end stops the watch and returns its result, or nil if the memory use could not be read.
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
