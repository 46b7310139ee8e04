package thread

import "time"

// HasClock says whether [CPU] is the time of the thread.
const HasClock = false

// CPU returns the CPU time of the whole process: of a thread's Windows shows too little, in steps
// of 16 ms. So whoever pays by it is charged with what went on beside it too.
func CPU() time.Duration { return ProcessCPU() }
