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

// burst is the CPU time that the first thread of the parallelism probe uses before all threads
// stop. It is several time slices of the kernel's scheduler, so that the threads' shares are
// representative.
const burst = 30 * time.Millisecond

// parallelismProbe computes on one thread per CPU that the sidecar may use, and divides their total
// CPU time by the wall time.
type parallelismProbe struct {
	cpus func() int
}

func (p *parallelismProbe) run(ctx context.Context) (r result) {
	k := max(1, p.cpus())
	// One more than the bursts need, so that sampling can continue meanwhile.
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

// bursts computes on k threads simultaneously until the first of them has used a burst or ctx is
// done. It returns how long that took, 0 if ctx was done first, and the total CPU time of all
// threads. A thread that is waiting for a CPU at the end stops only after its next unit of work, so
// each thread may add one extra unit, a hundredth of a burst.
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
