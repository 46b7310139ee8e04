//go:build !linux

package thread

// Meter cannot measure here: where the wait for a CPU is unknown, it would look like blocking.
type Meter struct{}

// HasMeter says whether this system may have a [Split].
const HasMeter = false

// Start does nothing.
func (*Meter) Start() {}

// Stop is never ok.
func (*Meter) Stop() (s Split, ok bool) { return Split{}, false }
