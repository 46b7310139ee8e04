package thread

import (
	"os"
	"time"
)

// tasks are the threads of the process.
const tasks = "/proc/self/task"

// ProcessDelay returns how long the threads of the process have been ready to run without a CPU,
// all that exist now together; not ok if the kernel does not keep that. It takes about 10 µs a
// thread.
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
			continue // it has ended
		}
		delay, kept := parseSchedstat(data)
		total += delay
		ok = ok || kept
	}
	return total, ok
}
