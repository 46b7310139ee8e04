package monitor

import (
	"sync"
	"time"
)

// memoryInterval is the time between two readings of the process's memory use.
const memoryInterval = 100 * time.Millisecond

// Memory describes the process's resident memory during a run, in bytes.
type Memory struct {
	Start, End int64

	// Peak is the highest value during the run. It is exact if the run exceeded the process's
	// previous peak, since the kernel records the peak. Otherwise it is the highest of ten readings
	// per second, which may miss a short peak.
	Peak  int64
	Exact bool // whether Peak is exact
}

// reading is the process's resident memory as the kernel reports it.
type reading struct {
	resident int64
	peak     int64 // highest value since the process started
}

// watch reads the process's memory use at regular intervals, in a goroutine.
type watch struct {
	read    func() (reading, bool)
	stop    chan struct{}
	done    sync.WaitGroup
	known   bool // memory use can be read
	first   reading
	highest int64 // highest resident memory; owned by the goroutine until it exits
}

// watchMemory starts a watch. If the memory use cannot be read, it starts no goroutine.
func watchMemory() *watch {
	return newWatch(readMemory)
}

// newWatch is like watchMemory, but reads the memory use with the given function.
func newWatch(read func() (reading, bool)) *watch {
	w := &watch{read: read, stop: make(chan struct{})}
	if w.first, w.known = read(); w.known {
		w.highest = w.first.resident
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
				w.highest = max(w.highest, now.resident)
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
	m := &Memory{Start: w.first.resident, End: last.resident, Peak: max(w.highest, last.resident)}
	if last.peak > w.first.peak {
		m.Peak, m.Exact = max(m.Peak, last.peak), true
	}
	return m
}
