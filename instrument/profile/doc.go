// Package profile runs a task and classifies it as CPU-bound, I/O-bound, mixed, quick or
// lock-contended, with the figures that decided it, and advises how many to run at once. If the
// figures allow more than one answer, the class is undetermined.
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
// The goroutine is locked to its thread, so that the kernel's clocks are those of the task: the
// thread's CPU time, and the time that it was ready without a CPU. They do not see the wait for Go's
// scheduler, when the thread sleeps. The execution trace of Go's runtime does, and it distinguishes
// a mutex from a channel, a socket and a timer. docs/profile.md has the classes, the rules and the
// limitations.
//
// No goroutine, file or setting of the process is left behind.
package profile
