package thread

import (
	"runtime"
	"syscall"
	"time"
)

// Meter measures the [Split] of a piece of work in one goroutine, which it locks to its thread
// during the work. The zero Meter is ready to use. A Meter may be reused, but not concurrently.
type Meter struct {
	fd    int
	open  bool // fd is an open schedstat file, so the delay is known
	delay time.Duration
	cpu   time.Duration
	start time.Time
}

// HasMeter reports whether [Meter] works on this system.
const HasMeter = true

// Start starts measuring. The calling goroutine must call Stop afterwards, preferably with defer.
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
	// The wall clock is read last here and first in Stop, so that reading the other clocks does not
	// count as blocked time.
	m.cpu = CPU()
	m.start = time.Now()
}

// Stop ends the measurement that Start began, unlocks the goroutine from its thread, and returns
// how the time was spent. ok is false if the kernel does not record run-queue delay.
func (m *Meter) Stop() (s Split, ok bool) {
	defer runtime.UnlockOSThread()
	wall := time.Since(m.start)
	if !m.open {
		return Split{}, false
	}
	cpu := CPU() - m.cpu
	delay, ok := readSchedstat(m.fd)
	_ = syscall.Close(m.fd)
	return splitOf(wall, cpu, delay-m.delay), ok
}
