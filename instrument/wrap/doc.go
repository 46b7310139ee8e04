// Package wrap instruments pools that a program already has. Only the line that creates the pool
// changes.
//
//	sem, err := wrap.NewSemaphore("uploads", 8)                      // for semaphore.NewWeighted(8)
//	slots, err := wrap.NewChannel("uploads", make(chan struct{}, 8)) // for a channel used as a semaphore
//	fanOut, err := wrap.NewGroups("fan-out")                         // once; per request fanOut.WithContext(ctx)
//	tasks, err := wrap.NewTaskPool("thumbnails", "ants", p)          // for p, a pool of ants or with the same methods
//	buffers, err := wrap.NewSyncPool("buffers", &sync.Pool{New: …})  // for a sync.Pool
//
// Each wrapper has the methods and the semantics of the wrapped pool, which still makes every
// decision. Any other pool can be instrumented with a function that returns its Stats:
//
//	reg, err := instrument.Observe("sessions", "vitess", func() instrument.Stats { … })
//
// Packages instrument/wrapsql and instrument/wraphttp instrument the pools of database/sql and
// net/http, and the module adapters those of third-party modules. docs/benchmarks.md lists what
// wrapping costs.
//
// All methods are safe for concurrent use. A wrapper starts no goroutine; while it is used more
// than 100,000 times per second, it runs a timer. Close stops reporting the pool and may be called
// more than once; the wrapper itself keeps working.
package wrap
