// Package monitor measures batches of tasks: how many tasks there were, how long they took, how
// many failed, and how much CPU time and memory the process used during that time.
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
// CPU time, memory, allocations and garbage collections cannot be attributed to one run, so they
// cover the whole process during the run. The report says so, and names the concurrent runs.
//
// # Metrics and shutdown
//
// A run also reports its results through a MeterProvider, as the metrics poolgauge.run.* listed in
// docs/metrics.md: tasks as they end, everything else at the end of the run. Runs with the same
// name share their series, so use one name for each kind of run. On Linux, a run has a goroutine
// that reads the process's memory use ten times a second; [Run.End] waits until it has exited.
package monitor
