// Package pools provides instrumented pools: [Workers] run tasks, [Resources] lend resources that
// are expensive to create, a [Semaphore] bounds concurrent use of anything, a [MemoryBudget] keeps
// memory use within what the container has left, and a [Group] waits for tasks that belong
// together. All of them report the metrics of package instrument: limit, usage, pending requests
// and their waits, the duration of each use, and how requests and uses end.
//
//	uploads, err := pools.NewSemaphore("uploads", 64, pools.SemaphoreConfig{})
//	…
//	defer uploads.Close()
//
// # Order
//
// Every pool serves requests in the order in which they arrive. A request that cannot be served at
// once is pending from that moment, and no later request overtakes it.
//
// # Overhead
//
// A pool derives its counts from state that it needs anyway, and calls OpenTelemetry only at
// collection. At up to 100,000 uses per second, each use reads the clock when it begins and when it
// ends, which takes about 30 ns each, and all measurements are exact. Above that rate the pool is
// overloaded: one use in 32 is timed, as is every use or wait of more than about 2 ms, and the
// number of slots used is sampled 1,000 times per second. UseTime is then right on average, and
// within 3 % over 10 s if at least a third of the slots are used. If goroutines keep every CPU busy
// and never yield, timers run late: UseTime is then less exact, and a long use may be missed.
// instrument.WithExactTiming times every use and every wait at any rate.
//
// About 100 tasks per second are locked to their threads, to measure how much of their time they
// spend on a CPU, ready to run, and blocked. Only pools whose tasks take less than 10 ms are
// sampled; instrument.WithCPUSamples(0) turns sampling off. docs/benchmarks.md compares each type
// with other pools.
//
// # Holders
//
// [Resources], [Workers] and [Groups] record when each use began. While such a pool is full, or its
// oldest use is unusually long, Stats names the holders of the oldest uses: the line of code that
// acquired the slot and its callers, or the task's function; how long the slot has been held; and
// the request's trace, if the request had to wait or took the last slot. If uses are unusually long
// while requests wait, a collection logs the holders, once; see instrument.WithHolderLog. On
// architectures other than amd64 and arm64, only one use in 64 records the line; above 100,000 uses
// per second, only one use in 32 records the trace. A Semaphore and a MemoryBudget have no holders,
// since a release does not say whose permits it returns.
//
// # Cardinality
//
// A pool has about 25 series; their number does not grow with use. Names are unique in a process:
// the constructor of a second live pool with the same name returns an error, unless
// instrument.WithReplace lets the new pool take over the name. Groups that exist only during a
// request share a name through [NewGroups].
//
// # Shutdown
//
// The code that creates a pool must close it. Close waits for all of the pool's goroutines and
// stops reporting the pool; waiting callers and later calls get an error that wraps [ErrClosed].
// The last values of a closed pool are reported for two minutes, so that every reader collects
// them.
//
// # Without OpenTelemetry
//
// The package imports OpenTelemetry's API, but neither its SDK nor an exporter. The Stats methods
// return everything that the metrics show, even without a MeterProvider.
package pools
