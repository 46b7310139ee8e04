package thread

import (
	"runtime"
	"syscall"
	"time"
)

// Meter measures one piece of work of one goroutine, which it locks to its thread meanwhile. The
// zero Meter is ready; it may be used again, and has one user at a time. Start and Stop take about
// 7 µs together.
type Meter struct {
	fd    int
	open  bool // fd is, and delay is known
	delay time.Duration
	cpu   time.Duration
	start time.Time
}

// HasMeter says whether this system may have a [Split].
const HasMeter = true

// Start begins to measure. The calling goroutine must call Stop, whatever happens meanwhile: defer
// it.
func (m *Meter) Start() {
	runtime.LockOSThread()
	m.open = false
	if fd, err := openSchedstat(); err == nil {
		m.fd = fd
		m.delay, m.open = readSchedstat(fd)
		if !m.open {
			_ = syscall.Close(fd)
		}
	}
	// The wall clock is read last here and first in Stop: what the other readings take must not
	// look like blocking.
	m.cpu = CPU()
	m.start = time.Now()
}

// Stop ends it and unlocks the goroutine. It is not ok if the kernel does not keep the wait for a
// CPU.
func (m *Meter) Stop() (s Split, ok bool) {
	defer runtime.UnlockOSThread()
	wall := time.Since(m.start)
	if !m.open {
		return Split{}, false
	}
	cpu := CPU() - m.cpu
	delay, ok := readSchedstat(m.fd)
	_ = syscall.Close(m.fd)
	return SplitOf(wall, cpu, delay-m.delay), ok
}
