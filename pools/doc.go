// Package pools provides instrumented pools: [Workers] run tasks, [Resources] lend resources that
// are expensive to create, a [Semaphore] bounds concurrent use of anything, a [MemoryBudget] keeps
// memory use within what the container has left, and a [Group] waits for tasks that belong
// together. All of them report the metrics of package instrument: the limit, usage, pending
// requests and their waits, the durations of uses, and the outcomes of requests and uses.
//
//	uploads, err := pools.NewSemaphore("uploads", 64, pools.SemaphoreConfig{})
//	…
//	defer uploads.Close()
//
// # Order
//
// Every pool serves requests in the order in which they arrive. A request that cannot be served
// immediately is queued, and no later request overtakes it.
//
// # Overhead
//
// A pool derives its counts from state that it needs anyway, and calls OpenTelemetry only during
// collection. At up to 100,000 uses per second, each use reads the clock when it begins and when it
// ends, at about 30 ns per reading, and all measurements are exact. Above that rate the pool is
// overloaded: one use in 32 is timed, as is every use or wait of more than about 2 ms, and the
// number of slots in use is sampled 1,000 times per second. UseTime is then correct on average, and
// within 3% over 10 s if at least a third of the slots are in use. If goroutines keep every CPU
// busy and never yield, timers run late: UseTime is then less accurate, and a long use may be
// missed. instrument.WithExactTiming times every use and every wait at any rate.
//
// On Linux, Workers and Groups sample about 100 tasks per second each, to measure how much of their
// time tasks spend on a CPU, ready to run, and blocked. A sampled task is locked to its thread
// while it runs. Only pools whose tasks take less than 10 ms are sampled;
// instrument.WithCPUSamples(0) turns sampling off. docs/benchmarks.md compares each type with other
// pools.
//
// # Holders
//
// [Resources], [Workers] and [Groups] record when each use began. While such a pool is full, or its
// oldest use is unusually long, Stats names the holders of the oldest uses. A holder is identified
// by the line of code that acquired the slot and by its callers, or by the task's function. Stats
// also gives the time for which the slot has been held and, if it was recorded, the request's
// trace: in Workers if the task had to wait; in Resources if the request waited, took the last
// slot, or needed a resource to be constructed or checked; always for Map, ForEach, TaskGroup and
// [Groups.WithContext]. If uses are unusually long while requests wait, the next collection logs
// the holders, once; see instrument.WithHolderLog. On architectures other than amd64 and arm64,
// only one use in 64 records the line; above 100,000 uses per second, only one use in 32 records
// the trace. A Semaphore and a MemoryBudget report neither holders nor the durations of uses, since
// a release does not say whose permits it returns.
//
// # Cardinality
//
// A pool has about 25 series. The number does not grow with use. Names are unique in a process: the
// constructor of a second live pool with the same name returns an error, unless
// instrument.WithReplace lets the new pool take over the name. Groups that exist only during a
// request share a name through [NewGroups].
//
// # Shutdown
//
// The code that creates a pool must close it. Close waits for all of the pool's goroutines and
// stops reporting the pool; waiting callers and later calls get an error that wraps [ErrClosed].
// Readers can still collect the last values of a closed pool for two minutes, so that none misses
// them.
//
// # Without OpenTelemetry
//
// The package imports OpenTelemetry's API, but neither its SDK nor an exporter. The Stats methods
// return everything that the metrics show, even without a MeterProvider.
package pools
