package probe

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/thread"
)

// burst is the CPU time that the first thread of the parallelism probe uses before all stop:
// several time slices of the kernel's scheduler, so that what the threads got is what threads get.
const burst = 30 * time.Millisecond

// parallelismProbe computes on as many threads as there are CPUs to use and divides the CPU time
// that they got by the wall time during which all of them wanted it.
type parallelismProbe struct {
	cpus func() int
}

func (p *parallelismProbe) run(ctx context.Context) (r result) {
	k := max(1, p.cpus())
	// One processor more than the bursts take, so that sampling goes on beside them.
	if before := runtime.GOMAXPROCS(0); before <= k {
		runtime.GOMAXPROCS(k + 1)
		defer runtime.GOMAXPROCS(before)
	}
	wall, cpu := bursts(ctx, k)
	r.cost = cpu
	if wall > 0 {
		r.add(catalog.ProbeParallelism, cpu.Seconds()/wall.Seconds())
		r.add(catalog.ProbeParallelismRequested, float64(k))
	}
	return r
}

// bursts computes on k threads from one moment on until the first of them has used a burst, or ctx
// ends, and returns how long that was, 0 if ctx ended it, and the CPU time that all of them used. A
// thread that waits for a CPU at the end stops at its next unit of work, so that each may add one
// unit, a hundredth of a burst, too much.
func bursts(ctx context.Context, k int) (wall, cpu time.Duration) {
	var stop atomic.Bool
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()

	var ready, done sync.WaitGroup
	ready.Add(k)
	start := make(chan struct{})
	end := make(chan time.Time, 1)
	used := make([]time.Duration, k)
	for i := range used {
		done.Go(func() {
			// Not unlocked, so that the thread ends with its goroutine and gives its memory back.
			runtime.LockOSThread()
			var work kernel
			ready.Done()
			<-start
			before := thread.CPU()
			for !stop.Load() {
				work.unit()
				used[i] = thread.CPU() - before
				if used[i] >= burst && stop.CompareAndSwap(false, true) {
					end <- time.Now()
				}
			}
		})
	}
	ready.Wait()
	began := time.Now()
	close(start)
	done.Wait()
	for _, u := range used {
		cpu += u
	}
	select {
	case ended := <-end:
		wall = ended.Sub(began)
	default:
	}
	return wall, cpu
}

func (p *parallelismProbe) close() {}
