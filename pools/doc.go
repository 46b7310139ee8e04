// Package pools has pools that tell when they are full: [Workers] run tasks, [Resources] lend what is costly to make, a [Semaphore]
// bounds the use of anything, a [MemoryBudget] bounds bytes by what the container still has, and a [Group] waits for tasks that
// belong together. Where callers need not block, each is faster with its telemetry on than the best known pool of its kind with
// none. All report the one model of package instrument: limit, usage, who waits and how long, how long each use takes, and how requests
// and uses end.
//
//	uploads, err := pools.NewSemaphore("uploads", 64, pools.SemaphoreConfig{})
//	…
//	defer uploads.Close()
//
// # Overhead
//
// A pool counts with state that it needs anyway, and calls OpenTelemetry only at collection. The clock is read for every use of 10 µs or
// longer, and for short ones as long as fewer than 100,000 begin in a second. Of more it is read for a sample, one in 32, and above a million a
// second one in 128, which carries the weight of those that it stands for. Waits for a Semaphore or Resources are treated likewise, and all that
// take longer than 20 ms or come to nothing are timed, to 5 ms; the wait of a task is timed if its use is. instrument.WithExactTiming times
// every use and every wait, for about 60 ns each.
//
// About 100 tasks a second are locked to their thread, to tell what it did, for 7 µs each; instrument.WithCPUSamples(0) leaves that out.
// The figures of each type stand in its comment, the comparison with other pools in docs/benchmarks.md.
//
// # Cardinality
//
// A pool has about 20 series, none of which grows with use. Names are unique in a process: a second live pool of one name is
// an error of its constructor. Tasks that come and go by the request share a name through [NewGroups].
//
// # Shutdown
//
// Whoever makes a pool closes it. Close joins every goroutine of the pool and ends its series; calls that come later, and callers
// that wait, get an error that wraps [ErrClosed]. What happened since the last collection is not reported then: flush the
// MeterProvider first if that matters.
//
// # Without OpenTelemetry
//
// The package needs OpenTelemetry's API and neither its SDK nor an exporter. Without a MeterProvider a pool costs its own memory,
// and Stats tells the same model to whoever asks.
package pools
