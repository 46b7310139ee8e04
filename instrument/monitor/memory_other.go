//go:build !linux

package monitor

// readMemory returns false: the memory is known only on Linux.
func readMemory() (reading, bool) { return reading{}, false }
