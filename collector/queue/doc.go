// Package queue keeps batches of telemetry until the upstream has them: a bounded first-in, first-out queue in a directory, or in memory.
//
// What survives, of the batches whose [Queue.Put] returned nil:
//
//	                  kill -9, crash of the program   power loss, crash of the system
//	Dir, Sync 0       all                             all
//	Dir, Sync 1s      all                             all but those of the last second, or of the last sync that was slower
//	no Dir            none                            none
//
// The queue in memory is the truth and the disk follows it: a batch stays in memory until it is written. A disk that is full, read-only,
// failing or slower than a second therefore only means that batches are accepted without it, which [Account] and one line of the log
// say; as soon as the disk is back it gets what it missed. Memory is bounded by Limit then, and by an eighth of it (2 MiB at most) otherwise,
// because batches that are on disk are read again when their turn comes.
//
// When the queue is full the oldest batch goes first, however long it has been retried. One that is in flight at that moment makes room at
// once, but is counted as dropped only if it comes back: it may be sent yet.
//
// On disk the queue is a row of segments, which are deleted when nothing in them is needed any more. A segment is a header and records; a record
// says what it is, protected by checksums, and has one state byte that is overwritten in place: queued, in flight, done. It never goes back, so
// a restart knows which batches may have been sent before. What a crash tore or a disk changed is skipped and counted, and reading goes on at the
// next record. Power loss may bring back a batch that was already sent as if it had never been in flight.
package queue
