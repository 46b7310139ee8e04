package probe

import (
	"context"
	"errors"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/thread"
)

// cpuWork is the CPU time of one run. A run of less than 4 ms would fit into one time slice of the
// kernel's scheduler, and would not be slowed down by other threads on the core.
const cpuWork = 5 * time.Millisecond

// cpuProbe runs a busy loop on one thread until the loop has used cpuWork of CPU time, and compares
// the CPU time with the wall time.
type cpuProbe struct {
	read     func() reading // reads the clocks of the thread that runs the probe
	workload workload
	minWork  time.Duration // lowest CPU time per unit in any run
}

var errDisturbed = errors.New("the sidecar's other goroutines interrupted too much of the run")

func (p *cpuProbe) run(context.Context) (r result) {
	delay, err := thread.OpenDelay()
	if err == nil {
		defer delay.Close()
	}
	waited, known := delay.Total()
	wall, cpu, units := p.compute()
	if cpu < cpuWork {
		r.err, r.kind = errDisturbed, "disturbed"
		return r
	}
	if after, ok := delay.Total(); ok && known {
		r.add(catalog.ProbeCPURunDelay, (after - waited).Seconds())
	}
	work := cpu / time.Duration(units)
	if p.minWork == 0 || work < p.minWork {
		p.minWork = work
	}
	r.add(catalog.ProbeCPUStretch, float64(wall)/float64(cpu))
	r.add(catalog.ProbeCPUWork, work.Seconds())
	r.add(catalog.ProbeCPUWorkMin, p.minWork.Seconds())
	return r
}

// compute runs units of work until they have used cpuWork of CPU time, and returns their number and
// their total wall and CPU time. It leaves out units during which the thread slept: the workload
// never sleeps, so Go's scheduler, which preempts a goroutine after 10 ms, must have run another
// goroutine of the sidecar. compute gives up once it has used twice that CPU time.
func (p *cpuProbe) compute() (wall, cpu time.Duration, units int) {
	last := p.read()
	for used := time.Duration(0); cpu < cpuWork && used < 2*cpuWork; {
		p.workload.unit()
		now := p.read()
		used += now.cpu - last.cpu
		if now.parked == last.parked {
			wall += now.wall.Sub(last.wall)
			cpu += now.cpu - last.cpu
			units++
		}
		last = now
	}
	return wall, cpu, units
}

func (p *cpuProbe) close() {}
