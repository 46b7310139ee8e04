// Package instrument reports pools: how full they are, who waits and for how long, and how long
// each use takes. Every pool is n slots, some used, some waited for, so there is one model,
// [Stats], and one set of metrics, docs/metrics.md.
//
// # What a pool does
//
// It hands over a function that returns its Stats, and closes what it gets back when it is closed
// itself:
//
//	reg, err := instrument.Observe("uploads", "semaphore", s.Stats, opts...)
//	…
//	reg.Close()
//
// Nothing else is needed, and nothing else happens between two collections: a pool touches only its
// own memory. What it counts anyway is the counter. Durations go into a [Histogram] that the pool
// guards with a lock it takes anyway; a request that does not wait reads no clock, and Stats counts
// it with RecordN(0, unblocked). [GaveUp] names the outcome of a wait that ends with the error of
// its context.
//
// The [Option]s of a pool are the same everywhere; it passes them to [Observe].
//
// # Where the metrics go
//
// With the Producer of instrument/producer on the reader of an OpenTelemetry SDK, pools are
// reported in full, with exponential histograms. Without it they are reported through the metric
// API, to the MeterProvider given or the global one, which may be set later. The API takes
// durations one by one, so at each collection those since the last one are recorded, 0.2 µs each;
// of more than 8,192 in one series a sample is, which is reported once to
// [go.opentelemetry.io/otel.Handle]. Counters stay exact. These histograms have the buckets of the
// provider's choice, so that is the way to explicit buckets, to views and to delta temporality. A
// provider keeps the histograms of a pool that was closed, since the API cannot end a series.
// Without any provider a pool costs its own memory and nothing else.
//
// # Cost, cardinality, shutdown
//
// The package starts no goroutine. A pool has about 25 series, and none whose number grows with
// use. Names are unique among the live pools of the process: a second pool of one name is an error,
// unless it is made [WithReplace]. Close the pool to end its report; its last figures are reported
// for two minutes more, so that every reader collects how it ended.
package instrument
