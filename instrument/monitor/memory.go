package monitor

import (
	"sync"
	"time"
)

const memoryInterval = 100 * time.Millisecond

// Memory is the resident memory of the process, in bytes.
type Memory struct {
	Start, End int64

	// Peak is the highest during the run. It is exact if the run exceeded the peak of the process so
	// far, which the kernel keeps. Otherwise it is the highest of ten readings a second, and a
	// shorter peak may be missed.
	Peak  int64
	Exact bool
}

// reading is the memory of the process, as the kernel reports it.
type reading struct {
	resident int64
	peak     int64 // since the process started
}

// watch reads the memory of the process at an interval.
type watch struct {
	read  func() (reading, bool)
	stop  chan struct{}
	done  sync.WaitGroup
	known bool
	first reading
	most  int64 // of the goroutine, until it is done
}

// watchMemory starts a watch. If the memory is unknown, there is no goroutine.
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

// end stops the watch. It returns nil if the memory is unknown.
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
