// Package pools has instrumented pools: [Workers] run tasks, [Resources] lend what is costly to
// make, a [Semaphore] bounds the use of anything, a [MemoryBudget] bounds bytes by what the
// container still has, and a [Group] waits for tasks that belong together. All report the one model
// of package instrument: limit, usage, pending requests and their waits, how long each use takes,
// and how requests and uses end.
//
//	uploads, err := pools.NewSemaphore("uploads", 64, pools.SemaphoreConfig{})
//	…
//	defer uploads.Close()
//
// # Order
//
// Every pool serves requests in the order in which they came. A request that cannot be served at
// once waits from that moment, and is pending; a request that does not wait never overtakes one
// that does.
//
// # Overhead
//
// A pool counts with state that it needs anyway, and calls OpenTelemetry only at collection. Up to
// 100,000 uses a second each reads the clock when it begins and ends, about 30 ns each, and all
// that is reported is exact. Above that rate one use in 32 is timed, as is every use or wait of
// more than about 2 ms, and the slots used over time are sampled 1,000 times a second: UseTime is
// then right on average, and within 3 % over 10 s where a third of the slots or more are used.
// Where goroutines keep every CPU busy without a pause, samples are late, the time of rare long
// uses among short ones is underestimated by a few percent, and a long use may be missed.
// instrument.WithExactTiming times every use and every wait at any rate.
//
// About 100 tasks a second are locked to their thread, to divide their time into on CPU, ready and
// blocked. Only pools are sampled whose tasks take less than 10 ms; instrument.WithCPUSamples(0)
// samples none. docs/benchmarks.md compares each type with other pools.
//
// # Holders
//
// [Resources], [Workers] and [Groups] know since when each slot is used. While such a pool is full,
// or its oldest use is far longer than usual, Stats names the holders of the oldest uses: the line
// that asked for the slot and its callers, or the function of a task; for how long; and the trace
// of the request, if that had to wait or left no slot. A collection that sees requests wait for
// such a pool logs the holders, once; see instrument.WithHolderLog. It costs about 4 ns an acquire
// on amd64 and arm64; on other architectures the line is noted for one use of 64. Above 100,000
// uses a second one trace in 32 is noted. A semaphore does not know which permits come back, so it
// has no holders, and neither has a MemoryBudget.
//
// # Cardinality
//
// A pool has about 25 series, none of which grows with use. Names are unique in a process: a second
// live pool of one name is an error of its constructor, unless it takes the name over with
// instrument.WithReplace. Tasks that come and go by the request share a name through [NewGroups].
//
// # Shutdown
//
// The code that makes a pool closes it. Close joins every goroutine of the pool and ends its
// report; later calls, and callers that wait, get an error that wraps [ErrClosed]. The last figures
// of a closed pool are reported for two minutes, so that every reader collects them.
//
// # Without OpenTelemetry
//
// The package needs OpenTelemetry's API and neither its SDK nor an exporter. Without a
// MeterProvider a pool costs its own memory, and Stats returns the same model.
package pools
