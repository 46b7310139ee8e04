//go:build !linux

package monitor

// readMemory returns false: the memory is only known on Linux.
func readMemory() (reading, bool) { return reading{}, false }
