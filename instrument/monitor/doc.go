// Package monitor measures a batch of tasks from its start to its end: how many there were and how
// long they took, how many failed, and what the process used meanwhile.
//
//	run, err := monitor.Start("nightly import")
//	…
//	for _, file := range files {
//		run.Do(func() error { return load(file) }) // from as many goroutines as there are
//	}
//	fmt.Print(run.End())
//
// # What belongs to a run
//
// Tasks, their latency, throughput and errors are those of the run alone, however many runs there
// are at once, one inside the other or side by side. CPU, memory, allocations and garbage
// collections are those of the whole process while the run lasted, since nothing tells whose they
// are; the report says so, and names the runs that went on beside it.
//
// # Metrics, cost, shutdown
//
// The same figures are reported as poolgauge.run.*, see docs/metrics.md, through a MeterProvider:
// tasks as they end, the rest at the end. Runs of one name share their series, so a name stands for
// a kind of run. A task costs about 0.2 µs, and 0.2 µs more where there is a MeterProvider. A run
// has one goroutine, which reads the memory of the process ten times a second; End joins it.
package monitor
