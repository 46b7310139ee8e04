//go:build !linux

package thread

// Meter does not measure on this system: the wait for a CPU is unknown and would be counted as
// blocked.
type Meter struct{}

// HasMeter reports whether a [Meter] works on this system.
const HasMeter = false

// Start does nothing.
func (*Meter) Start() {}

// Stop returns false.
func (*Meter) Stop() (s Split, ok bool) { return Split{}, false }
