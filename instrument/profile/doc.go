// Package profile runs a task and says what it is: CPU-bound, I/O-bound, mixed, quick or
// lock-contended, with the figures that decided it, and how many to run at once. Where the figures
// allow more than one answer it says undetermined.
//
//	p, err := profile.Times(ctx, 200, func(ctx context.Context) error { return shrink(ctx, photo) })
//	…
//	fmt.Print(p)
//
// It is for a task that is at hand: in a test, a benchmark or a command. For what a pool's tasks do
// all day see the metric poolgauge.pool.use.cpu.time, which the pools of package pools report by
// themselves.
//
// # How it knows
//
// It locks the goroutine to its thread, so that the kernel's clocks are the task's: the CPU time of
// the thread, and the time that it was ready without a CPU. Those do not see the wait for Go's
// scheduler, in which the thread sleeps; the execution trace of Go's runtime does, and it tells a
// mutex from a channel, a socket and a timer. docs/profile.md has the classes, the rules and the
// limits.
//
// # Cost
//
// A call of [Times] takes about a millisecond besides the calls, and each wait of any goroutine in
// the process about 0.5 µs more, for the trace. Nothing is left behind: no goroutine, no file, no
// setting of the process.
package profile
