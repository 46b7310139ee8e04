// Package queue keeps batches of telemetry until the upstream has them: a lane for each signal and
// one for the sidecar's own points, over one budget of bytes and one directory, or in memory.
//
// What survives, of the batches whose [Queue.Put] returned nil:
//
//	                  kill -9, crash of the program   power loss, crash of the system
//	Dir, Sync 0       all                             all
//	Dir, Sync 1s      all                             all but those of the last second, or of the last sync that was slower
//	no Dir            none                            none
//
// # Lanes
//
// A [Lane] is a first-in, first-out row of batches. Lanes share the budget, [Config.Limit], and
// nothing else: each has a sixteenth of it to itself, and what is left goes to the lane that asks
// first. Within a lane [Queue.Take] yields the oldest, or with [Config.Fresh] what came since the
// upstream is well, and then the backlog.
//
// Full is a promise too. While the upstream takes a lane, Put waits for room, in order, until its
// context is done. Only when the exporter has said [Queue.SetAway] are batches dropped, the oldest
// of all lanes that are away first, and counted. Put of [Own] never waits: if there is no room, the
// oldest own batch goes. A batch that is in flight at that moment makes room at once, but is
// counted as dropped only if it comes back: it may be sent yet.
//
// # Disk
//
// The queue in memory is the truth and the disk follows it: a batch stays in memory until it is
// written. With Sync > 0 a disk that is full, read-only, failing or slower than a second only means
// that batches are accepted without it, which [Account] and one line of the log say; as soon as the
// disk is back it gets what it missed. With Sync 0 nothing is accepted that is not synced: Put
// waits, until its context is done. Memory is bounded by Limit while the disk fails, and by an
// eighth of it (2 MiB at most) otherwise, because batches that are on disk are read again when
// their turn comes.
//
// On disk the queue is a row of segments, which are deleted when nothing in them is needed any
// more. A segment is a header and records; a record says what it is, protected by checksums, and
// has one state byte that is overwritten in place: queued, in flight, done. It never goes back, so
// a restart knows which batches may have been sent before. What a crash tore or a disk changed is
// skipped and counted, and reading goes on at the next record. A directory that is deleted while
// the queue uses it is made again, and gets everything once more. Power loss may bring back a batch
// that was already sent as if it had never been in flight.
package queue
