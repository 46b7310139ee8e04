package thread

import (
	"os"
	"time"
)

// tasks is the directory of the threads of the process.
const tasks = "/proc/self/task"

// ProcessDelay returns the total time for which the current threads of the process have been ready
// to run without having a CPU. It returns false if the kernel does not account for that. The cost
// is proportional to the number of threads.
func ProcessDelay() (total time.Duration, ok bool) {
	dir, err := os.Open(tasks)
	if err != nil {
		return 0, false
	}
	defer dir.Close()
	threads, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, false
	}
	for _, id := range threads {
		data, err := os.ReadFile(tasks + "/" + id + "/schedstat")
		if os.IsNotExist(err) {
			continue // the thread has ended
		}
		delay, kept := parseSchedstat(data)
		total += delay
		ok = ok || kept
	}
	return total, ok
}
