//go:build !linux

package monitor

// readMemory returns false, since memory use can be read only on Linux.
func readMemory() (reading, bool) { return reading{}, false }
