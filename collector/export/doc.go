// Package export sends queued items to the upstream over OTLP/gRPC or OTLP/HTTP, in one lane for
// each signal and one for the sidecar's own metrics. Each lane has its own client, connections,
// request size and state.
//
// # The state of a lane
//
//	         a failure that may pass, or is held            held too long, or invalid
//	ok ───────────────────────────────────────▶ retrying ───────────────────────────▶ rejecting
//	 ▲                                              │                                     │
//	 └──────────────────────────────────────────────┴─────────────────────────────────────┘
//	                 the upstream accepts a request, and none was invalid for a minute
//
// Each transition is logged in one line with the upstream's message, and counted by a metric. A
// failure with a new cause in the same state is logged too, at most once every ten seconds. The
// [Kind] of a failure determines what happens to the request:
//
//   - [Passing] failures are retried indefinitely, with backoff.
//   - [Slow] and [Large] requests are retried at half the size, with backoff. A large request that
//     cannot be divided is held.
//   - [Invalid] requests are divided immediately until the invalid batch is alone, which is then
//     rejected.
//   - [Held] requests are retried undivided for [Policy.Hold], counted from the first failure after
//     a success, so a rollout, an expired token or a path that does not exist yet loses nothing.
//     After that they are rejected undivided, one per backoff, until the upstream accepts one.
//   - [Split] requests are held in the same way, but then divided like invalid ones.
//
// When the upstream has accepted nothing from a lane for 5 seconds, it counts as away for that
// lane, and a full queue drops the lane's oldest batches instead of making clients wait. Rejecting
// invalid requests does not make an upstream count as away, since it is reachable and accepts other
// requests.
//
// # The size of requests
//
// Batches are joined into requests of at most the lane's request size, which is initially
// [RequestSize]; larger batches are divided. Failures halve the request size as described above.
// The size grows again while requests take less than half of the timeout, up to three quarters of
// any size that failed in the last ten minutes. That limit is lifted if requests fail repeatedly at
// sizes that were accepted before, since such failures have nothing to do with the size.
package export
