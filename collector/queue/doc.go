// Package queue buffers batches of telemetry until the upstream acknowledges them. It has one lane
// for each signal and one for the sidecar's own metrics, which share a limit and a directory.
// Without a directory it buffers in memory.
//
// Batches for which [Queue.Put] has returned nil survive as follows:
//
//	              kill -9, crash of the process   power loss, system crash
//	Dir, Sync 0   all                             all
//	Dir, Sync 1s  all                             all but those put in the last second,
//	                                              or since the last sync if that is longer
//	no Dir        none                            none
//
// # Lanes
//
// A [Lane] is a first-in, first-out queue of batches. Lanes share only the limit, [Config.Limit]. A
// sixteenth of it is reserved for each lane, and the rest is available to all, first come, first
// served. Within a lane [Queue.Take] returns the oldest batches or, with [Config.Fresh], those put
// since the upstream recovered, followed by the backlog.
//
// While the upstream accepts data from a lane, Put waits for room in a full queue until its context
// is done; waiting calls are served in order. Batches are dropped, and counted, only after the
// exporter has called [Queue.SetAway] for their lane: the oldest batch in any such lane first. Put
// to [Own] never waits: if there is no room, the oldest batch in that lane is dropped. Dropping a
// batch in flight makes room immediately, but the batch counts as dropped only if it returns to the
// queue, since it may still be sent.
//
// # Disk
//
// The queue in memory is authoritative and the disk follows: a batch stays in memory until it is
// written. With Sync > 0, batches are accepted in memory while the disk is full, read-only, failing
// or slower than a second; [Account] and one log line report the failure, and the batches are
// written as soon as the disk recovers. With Sync 0, a batch is accepted only once it is synced:
// Put waits for the sync until its context is done. While the disk is failing, memory use is
// bounded by Limit. Otherwise it is bounded by an eighth of Limit (at most 2 MiB), because batches
// on disk are read back when they are taken.
//
// On disk the queue is a sequence of segments. Each segment is a file with a header and records,
// and is deleted once none of its records is needed. A record is protected by checksums and has one
// state byte, overwritten in place: queued, in flight or done. The state only moves forward, so the
// queue knows after a restart which batches may have been sent. Torn or corrupt records are skipped
// and counted, and reading continues at the next record. If the directory is deleted while in use,
// it is created again and every batch is written to it. After power loss, a batch that was already
// sent may reappear as if it had never been in flight.
package queue
