// Package wrap reports the pools that a program has already, in the model of instrument: a line
// where the pool is made, and no other changes.
//
//	sem, err := wrap.NewSemaphore("uploads", 8)                      // for semaphore.NewWeighted(8)
//	slots, err := wrap.NewChannel("uploads", make(chan struct{}, 8)) // for a channel used as a semaphore
//	fanOut, err := wrap.NewGroups("fan-out")                         // once; per request fanOut.WithContext(ctx)
//	tasks, err := wrap.NewTaskPool("thumbnails", "ants", p)          // for p, of ants or of the same shape
//	buffers, err := wrap.NewSyncPool("buffers", &sync.Pool{New: …})  // for a sync.Pool
//
// Each keeps the methods and the semantics of what it wraps, which it calls for every decision. Any
// other pool takes a function that says how it is:
//
//	reg, err := instrument.Observe("sessions", "vitess", func() instrument.Stats { … })
//
// What is in database/sql, net/http and other modules has a room of its own: instrument/wrapsql,
// instrument/wraphttp and the module adapters. What wrapping costs is in docs/benchmarks.md.
//
// All methods may be called concurrently. A wrapper starts no goroutine; one that is used more than
// 100,000 times a second has a timer meanwhile. Close ends its report, and may be called more than
// once; the wrapper itself goes on to work.
package wrap
