package diagnose

import (
	"fmt"
	"math"

	"github.com/poolgauge/poolgauge/pools/sizing"
)

// Machine is what a window of time saw of a machine, a container and the process in it. Shares are of the
// window's time unless said otherwise. What is not known is NaN: start with [UnknownMachine].
type Machine struct {
	CPUs           float64 // that the process may use: its quota, or those of the machine
	BusyCPUs       float64 // that the process used
	Throttled      float64 // of the quota's periods
	MemoryPressure float64 // in which some task waited for memory
	Steal          float64 // of the CPU time of the machine
	RunDelay       float64 // seconds that threads waited for a CPU, for each that they ran
	DiskSlowdown   float64 // duration of a probe's write, over its usual duration
	LockWait       float64 // seconds that goroutines waited for locks, for each that pools were used
	Runnable       float64 // goroutines that are ready to run, for each CPU of the process
}

// UnknownMachine is one of which nothing is known.
func UnknownMachine() Machine {
	unknown := math.NaN()
	return Machine{unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown}
}

// Host judges a machine over one window. The first cause that holds explains the ones after it: a quota
// also makes threads wait for a CPU.
func Host(m Machine) Finding[HostVerdict] {
	switch {
	case m.Throttled > 0.1:
		return host(Throttled, "the CPU quota stopped the container in %.0f %% of its periods", 100*m.Throttled)
	case m.MemoryPressure > 0.05:
		return host(MemoryPressure, "tasks waited for memory %.0f %% of the time", 100*m.MemoryPressure)
	case m.Steal > 0.1:
		return host(Steal, "the hypervisor took %.0f %% of the CPU time", 100*m.Steal)
	case m.RunDelay > 0.25+2*m.ownDelay() && m.BusyCPUs < 0.85*m.CPUs:
		return host(NoisyNeighbor, "threads waited %.2f s for a CPU for each second that they ran, and used %.1f of %.1f CPUs",
			m.RunDelay, m.BusyCPUs, m.CPUs)
	case m.DiskSlowdown > 3:
		return host(DiskSlow, "a write to disk took %.1f times as long as usual", m.DiskSlowdown)
	case !math.IsNaN(m.Throttled) || !math.IsNaN(m.RunDelay):
		return host(HostOK, "no shortage was seen")
	}
	return host(HostUndetermined, "nothing is known of the machine")
}

// ownDelay returns the RunDelay that the process alone causes: arrivals at random wait for each other.
func (m Machine) ownDelay() float64 {
	cpus := int(math.Max(1, m.CPUs))
	waiting, err := sizing.ErlangC(cpus, m.BusyCPUs)
	if err != nil || m.BusyCPUs >= float64(cpus) {
		return math.Inf(1)
	}
	return waiting / (float64(cpus) - m.BusyCPUs)
}

func host(v HostVerdict, format string, args ...any) Finding[HostVerdict] {
	return Finding[HostVerdict]{v, fmt.Sprintf(format, args...)}
}
