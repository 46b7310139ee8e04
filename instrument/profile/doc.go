// Package profile runs a task and classifies it as CPU-bound, I/O-bound, mixed, quick or
// lock-contended. It reports the figures behind the decision, and advises how many such tasks to
// run at once. If the figures allow more than one answer, the class is undetermined.
//
//	p, err := profile.Times(ctx, 200, func(ctx context.Context) error { return shrink(ctx, photo) })
//	…
//	fmt.Print(p)
//
// Use it in a test, a benchmark or a command. For the tasks of a pool in production, see the metric
// poolgauge.pool.use.cpu.time, which the pools of package pools report.
//
// # How it works
//
// The goroutine is locked to its thread, so that the kernel's clocks for the thread are those of
// the task: its CPU time, and the time that it was ready but had no CPU. These clocks do not see
// the wait for Go's scheduler, during which the thread sleeps. The execution trace of Go's runtime
// does, and it distinguishes a mutex from a channel, a socket and a timer. docs/profile.md
// describes the classes, the rules and the limitations.
//
// The package leaves no goroutine, file or setting behind.
package profile
