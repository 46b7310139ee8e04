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

// burst limits the CPU time of each thread in a run of the parallelism probe: all threads stop as
// soon as one of them has used that much. It spans several time slices of the kernel's scheduler,
// so that each thread gets a representative share.
const burst = 30 * time.Millisecond

// parallelismProbe runs one busy thread for each CPU that the sidecar may use, and divides the
// threads' total CPU time by the wall time.
type parallelismProbe struct {
	cpus func() int
}

func (p *parallelismProbe) run(ctx context.Context) (r result) {
	k := max(1, p.cpus())
	// One more than the busy threads need, so that other goroutines can continue.
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

// bursts runs busy loops on k threads concurrently until the first thread has used burst of CPU
// time, or until ctx is done. It returns the wall time, or 0 if ctx was done first, and the
// threads' total CPU time. A thread that is waiting for a CPU when the others stop still completes
// its unit of work, so each thread may use up to one unit too much, about a hundredth of burst.
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
			// Not unlocked, so that the thread exits with its goroutine and its memory is freed.
			runtime.LockOSThread()
			var work workload
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
