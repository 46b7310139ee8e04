// Package monitor measures a batch of tasks: how many there were, how long they took, how many
// failed, and which resources the process used meanwhile.
//
//	run, err := monitor.Start("nightly import")
//	…
//	for _, file := range files {
//		run.Do(func() error { return load(file) }) // from any number of goroutines
//	}
//	fmt.Print(run.End())
//
// # What belongs to a run
//
// Tasks, latency, throughput and errors belong to one run, even if runs are concurrent or nested.
// CPU, memory, allocations and garbage collections are those of the whole process during the run,
// because they cannot be attributed to one run; the report says so, and names the concurrent runs.
//
// # Metrics and shutdown
//
// The same figures are reported as poolgauge.run.* through a MeterProvider: tasks as they end, the
// rest at the end of the run. docs/metrics.md lists them. Runs with the same name share their
// series, so use one name for each kind of run. A run has one goroutine, which reads the memory of
// the process ten times a second; [Run.End] waits for it to end.
package monitor
