//go:build !linux

package thread

// Meter does not measure anything on this system. The system does not report how long a thread
// waits for a CPU, so the wait would count as blocked.
type Meter struct{}

// HasMeter reports whether [Meter] works on this system.
const HasMeter = false

// Start does nothing.
func (*Meter) Start() {}

// Stop returns false.
func (*Meter) Stop() (s Split, ok bool) { return Split{}, false }
