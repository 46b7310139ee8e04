package thread

import (
	"os"
	"time"
)

// tasks is the directory that lists the process's threads.
const tasks = "/proc/self/task"

// ProcessDelay returns the total time that the process's current threads have spent runnable but
// waiting for a CPU. ok is false if the kernel does not record run-queue delay. The cost is
// proportional to the number of threads.
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
			continue // the thread has exited
		}
		delay, recorded := parseSchedstat(data)
		total += delay
		ok = ok || recorded
	}
	return total, ok
}
