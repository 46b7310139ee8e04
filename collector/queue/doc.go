// Package queue buffers batches of telemetry until the upstream acknowledges them: a lane for each
// signal and one for the sidecar's own metrics, over one budget of bytes and one directory, or in
// memory.
//
// What survives, of the batches whose [Queue.Put] returned nil:
//
//	              kill -9, crash of the program   power loss, crash of the system
//	Dir, Sync 0   all                             all
//	Dir, Sync 1s  all                             all but those of the last second,
//	                                              or of the last sync that was slower
//	no Dir        none                            none
//
// # Lanes
//
// A [Lane] is a first-in, first-out queue of batches. Lanes share the budget, [Config.Limit], and
// nothing else: a sixteenth of it is reserved for each, and the rest goes to the lane that asks
// first. Within a lane [Queue.Take] returns the oldest batches, or with [Config.Fresh] those put
// since the upstream recovered, and then the backlog.
//
// While the upstream accepts a lane, Put of a full queue waits for room, in order, until its
// context is done. Batches are dropped, and counted, only after the exporter called
// [Queue.SetAway]: the oldest of all unreachable lanes first. Put of [Own] never waits: if there is
// no room, the oldest own batch is dropped. A batch in flight makes room at once, but is counted as
// dropped only if it is returned: it may still be sent.
//
// # Disk
//
// The queue in memory is authoritative and the disk follows it: a batch stays in memory until it is
// written. With Sync > 0, batches are accepted in memory while the disk is full, read-only, failing
// or slower than a second; [Account] and one log line report it, and the batches are written as
// soon as the disk recovers. With Sync 0 a batch is accepted only once it is synced: Put waits
// until its context is done. Memory is bounded by Limit while the disk fails, and by an eighth of
// it (2 MiB at most) otherwise, because batches on disk are read back when their turn comes.
//
// On disk the queue is a sequence of segments, each deleted when nothing in it is needed any more.
// A segment is a header and records; a record is protected by checksums and has one state byte that
// is overwritten in place: queued, in flight, done. The state never goes back, so a restart knows
// which batches may have been sent. Records that are torn or corrupt are skipped and counted, and
// reading continues at the next record. A directory that is deleted while in use is created again,
// and every batch is written to it. After power loss, a batch that was already sent may reappear as
// if it had never been in flight.
package queue
