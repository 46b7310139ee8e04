// Package instrument reports pools: how full they are, who waits and for how long, and how long each use takes. Every pool is n
// slots, some used, some waited for, so there is one model, [Stats], and one set of metrics, docs/metrics.md.
//
// # What a pool does
//
// It hands over a function that returns its Stats, and closes what it gets back when it is closed itself:
//
//	reg, err := instrument.Observe("uploads", "semaphore", s.Stats, opts...)
//	…
//	reg.Close()
//
// Nothing else is needed, and nothing else happens between two collections: a pool touches only its own memory. What it counts
// anyway is the counter. Durations go into a [Histogram] that the pool guards with a lock it takes anyway, or one per shard.
// The clock is what costs (31 ns a reading, see [Now]), so
//
//   - a request that does not wait reads no clock: Stats counts it with RecordN(0, unblocked),
//
//   - a request that waits is timed; [GaveUp] names the outcome if it ends with an error of its context,
//
//   - a [Sampler] chooses the uses that are timed, and how many uses each of them stands for:
//
//     weight, start := p.sampler.Next()
//     use()
//     if weight > 0 {
//     p.uses.Sample(instrument.Now()-start, weight, p.completed) // a Sampled
//     }
//
//   - a [CPUSampler] splits the time of some tasks by what their threads did, in a pool that runs them.
//
// The [Option]s of a pool are the same everywhere; it passes them to [Observe] and to [NewSampler].
//
// # Where the metrics go
//
// With the Producer of instrument/producer on the reader of an OpenTelemetry SDK, pools are reported in full, with exponential
// histograms; a collection takes 7 to 15 µs a pool. Without it they are reported through the metric API, to the MeterProvider
// given or the global one, which may be set later. There histograms are recorded duration by duration at each collection, which
// takes 0.2 µs for each use since the last one. They have the buckets of the provider's choice, so that is the way to explicit
// buckets, to views and to delta temporality. A pool reports more than 2^20 durations between two collections thinned out, and
// says so to [go.opentelemetry.io/otel.Handle]; its counters stay exact. A provider keeps the histograms of a pool that was
// closed, since the API cannot end a series. Without any provider a pool costs its own memory and nothing else.
//
// # Cost, cardinality, shutdown
//
// The package starts no goroutine. A pool has about 20 series, and none whose number grows with use. Names are unique among the live
// pools of the process: a second pool of one name is an error. Close the pool to end its series. With the Producer, the next
// collection still reports how it ended, so that a program closes its pools first and shuts its provider down last; without it,
// what a pool did since the last collection is not reported unless the provider is flushed before.
package instrument
