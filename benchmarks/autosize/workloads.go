// Package autosize compares pools whose limit adapts at run time with the best of many fixed
// limits. The adaptive pools are those of package pools/autosize and failsafe-go's adaptive
// limiter. The benchmark is a test, since it needs the virtual time of a synctest bubble: go test
// ./autosize -v -full.
package autosize

import "time"

// workload is an open-loop load and the program that serves it. Requests arrive at random times,
// whether or not earlier ones have completed.
type workload struct {
	name      string
	rate      func(at time.Duration) float64 // requests a second
	cpus      func(at time.Duration) int64   // CPUs that the program may use; nil if its tasks use no CPU
	quota     bool                           // a quota throttles the program if it needs more than cpus
	task      func(r *request)
	objective time.Duration // time within which a request must be served
}

const (
	length = 2 * time.Minute // of a run
)

func steadily(rate float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return rate }
}

func always(cpus int64) func(time.Duration) int64 {
	return func(time.Duration) int64 { return cpus }
}

// middle reports whether the given time is in the second third of the run.
func middle(at time.Duration) bool { return at > length/3 && at < 2*length/3 }

var workloads = []workload{
	{
		name: "CPU-bound", rate: steadily(320), cpus: always(2), objective: 100 * time.Millisecond,
		task: func(r *request) { r.compute(5 * time.Millisecond) },
	},
	{
		name: "1 ms CPU, 5 ms wait", rate: steadily(1500), cpus: always(2), objective: 100 * time.Millisecond,
		task: func(r *request) { r.compute(time.Millisecond); r.wait(5 * time.Millisecond) },
	},
	{
		name: "one hot lock", rate: steadily(400), objective: 100 * time.Millisecond,
		task: func(r *request) { r.wait(4 * time.Millisecond); r.locked(2 * time.Millisecond) },
	},
	{
		name: "eight servers downstream", rate: steadily(640), objective: 200 * time.Millisecond,
		task: func(r *request) { r.call(10 * time.Millisecond) },
	},
	{
		name: "downstream 5 times slower", rate: steadily(300), objective: 500 * time.Millisecond,
		task: func(r *request) {
			if middle(r.at()) {
				r.wait(50 * time.Millisecond)
			} else {
				r.wait(10 * time.Millisecond)
			}
		},
	},
	{
		name: "slow drift", objective: 100 * time.Millisecond,
		rate: func(at time.Duration) float64 { return 100 + 900*at.Seconds()/length.Seconds() },
		task: func(r *request) { r.wait(10 * time.Millisecond) },
	},
	{
		name: "stable time-out", rate: steadily(200), objective: 500 * time.Millisecond,
		task: func(r *request) {
			if r.random() < 0.1 {
				r.sleep(300 * time.Millisecond)
			} else {
				r.wait(10 * time.Millisecond)
			}
		},
	},
	{
		name: "burst × 10", objective: 200 * time.Millisecond,
		rate: func(at time.Duration) float64 {
			if at%(10*time.Second) > 8*time.Second {
				return 1000
			}
			return 100
		},
		task: func(r *request) { r.wait(10 * time.Millisecond) },
	},
	{
		name: "quota 1, 2, 1", rate: steadily(170), quota: true, objective: 200 * time.Millisecond,
		cpus: func(at time.Duration) int64 {
			if middle(at) {
				return 2
			}
			return 1
		},
		task: func(r *request) { r.compute(5 * time.Millisecond) },
	},
	{
		name: "one long task in 1,000", rate: steadily(500), objective: 200 * time.Millisecond,
		task: func(r *request) {
			if r.random() < 0.001 {
				r.sleep(2 * time.Second)
			} else {
				r.wait(5 * time.Millisecond)
			}
		},
	},
}
