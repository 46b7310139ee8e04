package thread

import (
	"syscall"
	"time"
	"unsafe"
)

// HasClock reports whether [CPU] returns the CPU time of the thread rather than of the process.
const HasClock = true

const (
	threadClock  = 3 // CLOCK_THREAD_CPUTIME_ID
	rusageThread = 1 // RUSAGE_THREAD
)

// CPU returns the CPU time of the calling thread.
//
// CPU uses package syscall so that programs that import package pools do not depend on
// golang.org/x/sys.
func CPU() time.Duration {
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(
		syscall.SYS_CLOCK_GETTIME,
		threadClock,
		uintptr(unsafe.Pointer(&ts)),
		0,
	); errno != 0 {
		return 0
	}
	return time.Duration(ts.Nano())
}

// ReadCounts returns the counts of the calling thread, and whether they are known.
func ReadCounts() (c Counts, ok bool) {
	var u syscall.Rusage
	if syscall.Getrusage(rusageThread, &u) != nil {
		return c, false
	}
	// The conversions are needed because the fields are 32-bit on some platforms.
	return Counts{
		MinorFaults: int64(u.Minflt), //nolint:unconvert // see above
		MajorFaults: int64(u.Majflt), //nolint:unconvert // see above
		Voluntary:   int64(u.Nvcsw),  //nolint:unconvert // see above
		Involuntary: int64(u.Nivcsw), //nolint:unconvert // see above
	}, true
}
