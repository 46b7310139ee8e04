//go:build !linux

package spin

// yield does nothing where threads cannot yield without the scheduler of Go.
func yield() {}
