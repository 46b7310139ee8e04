package probe

import (
	"time"

	"golang.org/x/sys/windows"
)

const haveThreadClock = false

// threadCPU returns the CPU time of the whole process: of a thread's Windows shows too little, in steps of 16 ms. So a run is
// charged with what went on beside it too, and the budget is kept all the more.
func threadCPU() time.Duration {
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user) != nil {
		return 0
	}
	return span(kernel) + span(user)
}

// span converts a count of 100 ns steps.
func span(f windows.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}
