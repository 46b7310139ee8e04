package thread

import "time"

// HasClock says whether [CPU] is the time of the thread.
const HasClock = false

// CPU returns the CPU time of the whole process: for a thread Windows reports too little, in steps
// of 16 ms. So a caller that is charged by it also pays for what ran at the same time.
func CPU() time.Duration { return ProcessCPU() }
