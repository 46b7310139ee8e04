package diagnose

import (
	"fmt"
	"math"
	"time"

	"github.com/poolgauge/poolgauge/pools/sizing"
)

// HostFigures holds the measurements of a machine, a container and the process in it at one point
// in time. All fields except At, CPUs and Runnable are cumulative since an arbitrary time in the
// past. Times are in seconds. Unknown values are NaN; start with [UnknownHost].
type HostFigures struct {
	At          time.Time
	CPUs        float64 // number of CPUs that the process may use: its quota, or the machine's CPUs
	Runnable    float64 // goroutines of the process that are ready to run but have no CPU
	BusyTime    float64 // CPU time of the process
	QueueTime   float64 // time that threads of the process were ready to run but had no CPU
	LockTime    float64 // time that goroutines of the process waited for locks
	Periods     float64 // periods of the container's CPU quota
	Throttled   float64 // quota periods in which the container was throttled
	StealTime   float64 // CPU time that the hypervisor took from the machine
	AllTime     float64 // CPU time of the machine, idle or not
	MemoryStall float64 // time in which at least one task waited for memory
	Writes      float64 // number of writes by a disk probe
	WriteTime   float64 // total duration of these writes
	Computes    float64 // number of runs of a compute probe, which executes a busy loop on one thread
	Stretch     float64 // sum over these runs of wall time divided by CPU time
}

// UnknownHost returns HostFigures for the given time. All other values are unknown.
func UnknownHost(at time.Time) HostFigures {
	unknown := math.NaN()
	return HostFigures{
		at, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown,
		unknown, unknown,
	}
}

// Machine describes a machine, a container and the process in it over a window of time. Shares are
// shares of the window's time unless a field's comment says otherwise. Unknown values are NaN;
// start with [UnknownMachine].
type Machine struct {
	CPUs           float64 // number of CPUs that the process may use: its quota, or the machine's CPUs
	BusyCPUs       float64 // mean number of CPUs that the process used
	Throttled      float64 // share of the quota's periods in which the container was throttled
	MemoryPressure float64 // share of time in which at least one task waited for memory
	Steal          float64 // share of the machine's CPU time that the hypervisor took
	RunDelay       float64 // seconds that threads waited for a CPU, per second that they ran
	Write          float64 // mean duration of a disk probe's write, in seconds
	Stretch        float64 // mean ratio of wall time to CPU time of a compute probe's runs
	LockWait       float64 // mean number of goroutines that waited for locks
	Runnable       float64 // number of goroutines that are ready to run but have no CPU, divided by CPUs
}

// UnknownMachine returns a Machine with all values unknown.
func UnknownMachine() Machine {
	unknown := math.NaN()
	return Machine{unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown}
}

// HostBetween returns the Machine for the window between two measurements. If a counter decreased,
// the values derived from it are unknown.
func HostBetween(from, to HostFigures) Machine {
	seconds := to.At.Sub(from.At).Seconds()
	if !(seconds > 0) {
		return UnknownMachine()
	}
	increase := func(from, to float64) float64 {
		if to < from {
			return math.NaN()
		}
		return to - from
	}
	busy, queued := increase(from.BusyTime, to.BusyTime), increase(from.QueueTime, to.QueueTime)
	return Machine{
		CPUs:           to.CPUs,
		BusyCPUs:       busy / seconds,
		Throttled:      increase(from.Throttled, to.Throttled) / increase(from.Periods, to.Periods),
		MemoryPressure: increase(from.MemoryStall, to.MemoryStall) / seconds,
		Steal:          increase(from.StealTime, to.StealTime) / increase(from.AllTime, to.AllTime),
		RunDelay:       queued / busy,
		Write:          increase(from.WriteTime, to.WriteTime) / increase(from.Writes, to.Writes),
		Stretch:        increase(from.Stretch, to.Stretch) / increase(from.Computes, to.Computes),
		LockWait:       increase(from.LockTime, to.LockTime) / seconds,
		Runnable:       to.Runnable / to.CPUs,
	}
}

// Host judges a machine over one window. usualWrite is the usual value of [Machine.Write]. The
// first rule that holds decides, since a cause also produces the symptoms that later rules look
// for: a quota, for example, also makes threads wait for a CPU.
func Host(m Machine, usualWrite float64) Finding[HostVerdict] {
	switch {
	case m.Throttled > 0.1:
		return host(Throttled, "the CPU quota stopped the container in %.0f%% of its periods", 100*m.Throttled)
	case m.MemoryPressure > 0.05:
		return host(MemoryPressure, "tasks waited for memory %.0f%% of the time", 100*m.MemoryPressure)
	case m.Steal > 0.1:
		return host(Steal, "the hypervisor took %.0f%% of the CPU time", 100*m.Steal)
	case m.RunDelay > 0.25+2*m.ownDelay() && m.BusyCPUs < 0.85*m.CPUs:
		return host(
			NoisyNeighbor,
			"threads waited %.2f s for a CPU for each second that they ran, and used %.1f of %.1f CPUs",
			m.RunDelay,
			m.BusyCPUs,
			m.CPUs,
		)
	case m.Stretch > 1.25+2*m.contention() && m.BusyCPUs < 0.85*m.CPUs:
		return host(
			NoisyNeighbor,
			"a compute probe took %.2f times its CPU time, and the process used %.1f of %.1f CPUs",
			m.Stretch,
			m.BusyCPUs,
			m.CPUs,
		)
	case m.Write > 3*usualWrite && m.Write > noticed:
		return host(DiskSlow, "a write to disk took %v instead of the usual %v", seconds(m.Write), seconds(usualWrite))
	case !math.IsNaN(m.Throttled) || !math.IsNaN(m.RunDelay) || !math.IsNaN(m.Stretch+m.BusyCPUs):
		return host(HostOK, "no shortage was found")
	}
	return host(HostUndetermined, "nothing is known about the machine")
}

// ownDelay returns the RunDelay that the process would have if no other process used the CPUs. A Go
// program runs at most as many threads as it has CPUs, rounded up.
func (m Machine) ownDelay() float64 {
	return math.Min(m.contention(), math.Ceil(m.CPUs)/m.CPUs-1)
}

// contention returns how long a thread waits for a CPU, per second that it runs, if only the
// process's threads compete for the CPUs and become ready at random times.
func (m Machine) contention() float64 {
	cpus := int(math.Max(1, m.CPUs)) // 1 if the number is unknown
	waiting, err := sizing.ErlangC(cpus, m.BusyCPUs)
	if err != nil || m.BusyCPUs >= float64(cpus) {
		return math.Inf(1)
	}
	return waiting / (float64(cpus) - m.BusyCPUs)
}

func host(v HostVerdict, format string, args ...any) Finding[HostVerdict] {
	return Finding[HostVerdict]{v, fmt.Sprintf(format, args...)}
}
