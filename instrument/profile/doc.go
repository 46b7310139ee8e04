// Package profile runs a task and classifies it as CPU-bound, I/O-bound, mixed, quick or
// lock-contended. It reports the measurements behind the decision, and advises how many such tasks
// to run concurrently. If the measurements allow more than one answer, the class is undetermined.
//
//	p, err := profile.Times(ctx, 200, func(ctx context.Context) error { return shrink(ctx, photo) })
//	…
//	fmt.Print(p)
//
// Use the package in a test, a benchmark or a command. For tasks in production, see the metric
// poolgauge.pool.use.cpu.time, which the pools of package pools report.
//
// # How it works
//
// The goroutine that calls the task is locked to its thread. Therefore, the kernel's clocks for
// that thread measure the task: its CPU time, and the time that it was ready but had no CPU. These
// clocks do not show waits for Go's scheduler, during which the thread sleeps. The execution trace
// of Go's runtime shows these waits, and whether the task waited for a mutex, a channel, a socket
// or a timer. docs/profile.md describes the classes, the rules and the limitations.
//
// The package leaves no goroutine, file or setting behind.
package profile
