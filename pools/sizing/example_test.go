package sizing

import (
	"fmt"
	"time"
)

// Requests arrive 200 times per second and use a connection for 25 ms each.
func ExampleLoad_Slots() {
	load := Load{Rate: 200, Service: 25 * time.Millisecond, CV: 1}
	slots, err := load.Slots(AcceptableWait)
	if err != nil {
		fmt.Println(err)
		return
	}
	wait, err := load.Wait(slots)
	fmt.Println(slots, wait.Round(100*time.Microsecond), err)
	// Output: 8 1.4ms <nil>
}

// A task computes for 2 ms and waits for a database for 18 ms; there are four CPUs.
func ExampleDemand_Slots() {
	task := Demand{CPU: 2 * time.Millisecond, Blocked: 18 * time.Millisecond, CPUs: 4}
	slots, err := task.Slots()
	fmt.Println(slots, err)
	// Output: 50 <nil>
}

// The tasks of a pool of 64 take long because they mostly wait for a CPU. The pool is far too
// large.
func ExampleObservation_Demand() {
	task, err := Observation{
		Used: 64, Rate: 2000, Wall: 32 * time.Millisecond,
		CPU: 2 * time.Millisecond, RunDelay: 30 * time.Millisecond, CPUs: 4,
	}.Demand()
	if err != nil {
		fmt.Println(err)
		return
	}
	slots, err := task.Slots()
	fmt.Println(slots, err)
	// Output: 5 <nil>
}

// The points are the sizes and rates that a sweep has measured.
func ExampleFitUSL() {
	law, err := FitUSL([]Point{{1, 100}, {4, 373.1}, {16, 1039}, {64, 1017.2}})
	fmt.Printf("peak at %.0f workers, %v\n", law.Peak(), err)
	// Output: peak at 31 workers, <nil>
}
