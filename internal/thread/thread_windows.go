package thread

import "time"

// HasClock reports whether [CPU] is the time of the thread.
const HasClock = false

// CPU returns the CPU time of the whole process: that of a thread is too coarse on Windows, with
// steps of 16 ms. So it includes what other threads used.
func CPU() time.Duration { return ProcessCPU() }
