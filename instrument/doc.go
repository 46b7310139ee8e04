// Package instrument reports pools: how full they are, how many requests wait and for how long, and
// how long each use takes. Every pool consists of n slots, some used and some waited for, so there
// is one model, [Stats], and one set of metrics, listed in docs/metrics.md.
//
// # What a pool does
//
// A pool passes a function that returns its Stats to Observe, and closes the Registration when it
// is closed itself:
//
//	reg, err := instrument.Observe("uploads", "semaphore", s.Stats, opts...)
//	…
//	reg.Close()
//
// Nothing else is needed. Nothing happens between two collections: a pool touches only its own
// memory, and its counters are state that it keeps anyway. Durations go into a [Histogram], guarded
// by a lock that the pool takes anyway. A request that does not wait does not read the clock; Stats
// counts such requests with RecordN(0, unblocked). [GaveUp] returns the outcome of a wait that
// ended with the error of its context.
//
// The [Option]s are the same for all pools; a pool passes them to [Observe].
//
// # Where the metrics go
//
// With the Producer of instrument/producer on the reader of an OpenTelemetry SDK, pools are
// reported in full, with exponential histograms. Without it, they are reported through the metric
// API to the given MeterProvider or the global one, which may be set later. The API takes durations
// one by one, so each collection records the durations since the last one, at 0.2 µs each. If one
// series has more than 8,192 of them, only a sample is recorded, which is reported once to
// [go.opentelemetry.io/otel.Handle]. Counters stay exact. The provider chooses the buckets of these
// histograms, so this is the way to get explicit buckets, views and delta temporality. A provider
// keeps the histograms of a closed pool, since the API cannot end a series. Without any provider, a
// pool costs its own memory and nothing else.
//
// # Cost, cardinality, shutdown
//
// The package starts no goroutine. A pool has about 25 series, whose number does not grow with use.
// Names are unique among the live pools of the process: it is an error to create a second pool with
// the same name, unless it is created [WithReplace]. Close the pool to end its report; its last
// figures are reported for two more minutes, so that every reader collects them.
package instrument
