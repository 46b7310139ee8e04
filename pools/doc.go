// Package pools provides instrumented pools: [Workers] run tasks, [Resources] lend resources that
// are expensive to create, a [Semaphore] bounds the use of anything, a [MemoryBudget] bounds bytes
// by the memory that the container has left, and a [Group] waits for tasks that belong together.
// All report the model of package instrument: limit, usage, pending requests and their waits, the
// duration of each use, and how requests and uses end.
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
// collection. At up to 100,000 uses a second, each use reads the clock when it begins and when it
// ends, about 30 ns each, and all figures are exact. Above that rate the pool is overloaded: one
// use in 32 is timed, as is every use or wait of more than about 2 ms, and the slots used are
// sampled 1,000 times a second. UseTime is then right on average, and within 3 % over 10 s if a
// third of the slots or more are used. If goroutines keep every CPU busy and never yield, timers
// run late: UseTime is then less exact, and a long use may be missed. instrument.WithExactTiming
// times every use and every wait at any rate.
//
// About 100 tasks a second are locked to their thread, to divide their time into on CPU, ready and
// blocked. Only pools whose tasks take less than 10 ms are sampled; instrument.WithCPUSamples(0)
// turns sampling off. docs/benchmarks.md compares each type with other pools.
//
// # Holders
//
// [Resources], [Workers] and [Groups] record when each use began. While such a pool is full, or its
// oldest use is far longer than usual, Stats names the holders of the oldest uses: the line of code
// that acquired the slot and its callers, or the function of the task; how long the slot has been
// held; and the trace of the request, if it had to wait or took the last slot. A collection that
// finds requests waiting for such a pool logs the holders, once; see instrument.WithHolderLog. On
// architectures other than amd64 and arm64 the line is recorded for one use in 64; above 100,000
// uses a second, the trace is recorded for one use in 32. For a Semaphore or a MemoryBudget it is
// unknown which permits are released, so they have no holders.
//
// # Cardinality
//
// A pool has about 25 series; their number does not grow with use. Names are unique in a process:
// the constructor of a second live pool with the same name returns an error, unless
// instrument.WithReplace lets it take over the name. Groups that live as long as a request share a
// name through [NewGroups].
//
// # Shutdown
//
// The code that creates a pool closes it. Close waits for every goroutine of the pool and ends its
// report; waiting callers and later calls get an error that wraps [ErrClosed]. The last values of a
// closed pool are reported for two minutes, so that every reader collects them.
//
// # Without OpenTelemetry
//
// The package imports OpenTelemetry's API, but neither its SDK nor an exporter. Stats returns the
// same model without a MeterProvider.
package pools
