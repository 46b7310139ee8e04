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
//	                 the upstream takes a request (and, after invalid ones, has for a minute)
//
// Each transition is one line of log, with the upstream's words, and one count of a metric; another
// cause in the same state is a line too, at most one in ten seconds. What becomes of a request
// depends on the [Kind] of its failure:
//
//   - [Passing] failures are retried for ever, with backoff.
//   - [Slow] ones and those that are too [Large] are retried in requests of half the size, with
//     backoff. What is too large and cannot be divided is held.
//   - [Invalid] ones are divided, at once, until what is bad is alone and rejected.
//   - [Held] ones are retried whole for [Policy.Hold], counted from the first after a success: a
//     roll-out, a token that expired or a path that is not there yet loses nothing. Then they are
//     rejected whole, one for each wait of the backoff, until the upstream takes one. Those of kind
//     [Split] are then divided as invalid ones are.
//
// While a lane has taken nothing for [AwayAfter], the queue is told that its upstream is away, so
// that a full queue drops the oldest and makes clients wait no longer. Invalid requests are no
// reason: the upstream is there, and takes others.
//
// # The size of requests
//
// Batches are joined up to the size of the lane, which begins at [RequestSize], and what is larger
// is divided. The size is halved by failures as above, and grows again while requests take less
// than half of the time-out, not beyond three quarters of what failed in the last ten minutes.
package export
