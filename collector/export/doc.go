// Package export sends what is queued to the upstream, over OTLP/gRPC or OTLP/HTTP, a lane for each
// signal and one for own points. Lanes share nothing: each has its client, its connections, its
// request size and its state.
//
// # The state of a lane
//
//	         a failure that may pass, or is held            held too long, or invalid
//	ok ───────────────────────────────────────▶ retrying ───────────────────────────▶ rejecting
//	 ▲                                              │                                     │
//	 └──────────────────────────────────────────────┴─────────────────────────────────────┘
//	                 the upstream accepts a request (after invalid ones: for a minute)
//
// Each transition is one log line, with the upstream's message, and one count of a metric; another
// cause in the same state is logged too, at most once in ten seconds. What happens to a request
// depends on the [Kind] of its failure:
//
//   - [Passing] failures are retried indefinitely, with backoff.
//   - [Slow] ones and those that are too [Large] are retried in requests of half the size, with
//     backoff. What is too large and cannot be divided is held.
//   - [Invalid] ones are divided, at once, until what is bad is alone and rejected.
//   - [Held] ones are retried whole for [Policy.Hold], counted from the first after a success: a
//     roll-out, a token that expired or a path that is not there yet loses nothing. Then they are
//     rejected whole, one for each wait of the backoff, until the upstream takes one. Those of kind
//     [Split] are then divided as invalid ones are.
//
// When a lane has not been accepted for [AwayAfter], its upstream counts as away, so that a full
// queue drops the oldest batches instead of making clients wait. Invalid requests do not count: the
// upstream is reachable and accepts others.
//
// # The size of requests
//
// Batches are joined up to the size of the lane, which begins at [RequestSize], and what is larger
// is divided. The size is halved by failures as above, and grows again while requests take less
// than half of the time-out, not beyond three quarters of what failed in the last ten minutes.
package export
