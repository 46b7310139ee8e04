// Package instrument reports metrics for pools: how full they are, how many requests wait and for
// how long, and how long each use takes. It models every pool as n slots, which are used or free,
// and requests that wait for slots. So one type, [Stats], describes all pools, and one set of
// metrics reports them; docs/metrics.md lists these metrics.
//
// # What a pool does
//
// A pool passes Observe a function that returns its Stats, and closes the Registration when it is
// closed itself:
//
//	reg, err := instrument.Observe("uploads", "semaphore", s.Stats, opts...)
//	…
//	reg.Close()
//
// Nothing else is needed. Between collections, a pool touches only its own memory: its counters are
// state that it keeps anyway, and it records durations in a [Histogram], guarded by a lock that it
// takes anyway. For a request that does not wait, the pool need not read the clock; its Stats
// function records n such requests with RecordN(0, n). [GaveUp] returns the outcome of a wait that
// ended with ctx.Err().
//
// The [Option]s are the same for all pools; a pool passes them to [Observe].
//
// # Where the metrics go
//
// If a reader of the OpenTelemetry SDK has the Producer of instrument/producer, pools are reported
// in full, with exponential histograms. Without a Producer, they are reported through the metric
// API to the given MeterProvider or the global one, which may be set later. The API accepts
// durations only one at a time, so each collection records those that are new since the previous
// one, at 0.2 µs each. If a series has more than 8,192 new durations, only a sample of them
// is recorded, and the first time this happens, an error is passed to
// [go.opentelemetry.io/otel.Handle]. Counters stay exact. The provider chooses the buckets of these
// histograms, so report through a provider if you need explicit buckets, views or delta
// temporality. A provider keeps the histograms of a closed pool, since the API cannot end a series.
// Without any provider, a pool costs only its own memory.
//
// # Cost, cardinality, shutdown
//
// The package starts no goroutine. A pool has about 25 series, and the number does not grow with
// use. Names are unique among the live pools of the process: it is an error to create a second pool
// with the same name, unless it is created [WithReplace]. Close the pool to stop reporting it; its
// last values are reported for two more minutes, so that every reader collects them.
package instrument
