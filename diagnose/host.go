package diagnose

import (
	"fmt"
	"math"
	"time"

	"github.com/poolgauge/poolgauge/pools/sizing"
)

// HostFigures are what is known at one moment of a machine, a container and the process in it. All
// but At, CPUs and Runnable count since some moment in the past. Times are seconds. What is not
// known is NaN: start with [UnknownHost].
type HostFigures struct {
	At          time.Time
	CPUs        float64 // that the process may use: its quota, or those of the machine
	Runnable    float64 // goroutines of the process that are ready to run without a CPU
	BusyTime    float64 // CPU time of the process
	QueueTime   float64 // that threads of the process were ready to run without a CPU
	LockTime    float64 // that goroutines of the process waited for locks
	Periods     float64 // of the container's CPU quota
	Throttled   float64 // of them, in which it stopped the container
	StealTime   float64 // CPU time of the machine that the hypervisor took
	AllTime     float64 // CPU time of the machine, idle or not
	MemoryStall float64 // in which some task waited for memory
	Writes      float64 // of a probe to disk
	WriteTime   float64 // that they took
	Computes    float64 // of a probe that computes on one thread
	Stretch     float64 // the sum of their wall time over CPU time
}

// UnknownHost returns figures of a moment at which nothing is known.
func UnknownHost(at time.Time) HostFigures {
	unknown := math.NaN()
	return HostFigures{
		at, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown,
		unknown, unknown,
	}
}

// Machine is what a window of time saw of a machine, a container and the process in it. Shares are
// of the window's time unless said otherwise. What is not known is NaN: [UnknownMachine] knows
// nothing.
type Machine struct {
	CPUs           float64 // that the process may use: its quota, or those of the machine
	BusyCPUs       float64 // that the process used
	Throttled      float64 // of the quota's periods
	MemoryPressure float64 // in which some task waited for memory
	Steal          float64 // of the CPU time of the machine
	RunDelay       float64 // seconds that threads waited for a CPU, for each that they ran
	Write          float64 // mean duration of a probe's write to disk, in seconds
	Stretch        float64 // mean wall time over CPU time of a probe that computes on one thread
	LockWait       float64 // goroutines that waited for locks, on average
	Runnable       float64 // goroutines that are ready to run without a CPU, for each CPU of the process
}

// UnknownMachine is one of which nothing is known.
func UnknownMachine() Machine {
	unknown := math.NaN()
	return Machine{unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown}
}

// HostBetween returns the window from one moment to a later one. What counters that fell count is
// not known.
func HostBetween(from, to HostFigures) Machine {
	seconds := to.At.Sub(from.At).Seconds()
	if !(seconds > 0) {
		return UnknownMachine()
	}
	grown := func(from, to float64) float64 {
		if to < from {
			return math.NaN()
		}
		return to - from
	}
	busy, queued := grown(from.BusyTime, to.BusyTime), grown(from.QueueTime, to.QueueTime)
	return Machine{
		CPUs:           to.CPUs,
		BusyCPUs:       busy / seconds,
		Throttled:      grown(from.Throttled, to.Throttled) / grown(from.Periods, to.Periods),
		MemoryPressure: grown(from.MemoryStall, to.MemoryStall) / seconds,
		Steal:          grown(from.StealTime, to.StealTime) / grown(from.AllTime, to.AllTime),
		RunDelay:       queued / busy,
		Write:          grown(from.WriteTime, to.WriteTime) / grown(from.Writes, to.Writes),
		Stretch:        grown(from.Stretch, to.Stretch) / grown(from.Computes, to.Computes),
		LockWait:       grown(from.LockTime, to.LockTime) / seconds,
		Runnable:       to.Runnable / to.CPUs,
	}
}

// Host judges a machine over one window. UsualWrite is what [Machine.Write] usually is. The first
// cause that holds explains the ones after it: a quota also makes threads wait for a CPU.
func Host(m Machine, usualWrite float64) Finding[HostVerdict] {
	switch {
	case m.Throttled > 0.1:
		return host(Throttled, "the CPU quota stopped the container in %.0f %% of its periods", 100*m.Throttled)
	case m.MemoryPressure > 0.05:
		return host(MemoryPressure, "tasks waited for memory %.0f %% of the time", 100*m.MemoryPressure)
	case m.Steal > 0.1:
		return host(Steal, "the hypervisor took %.0f %% of the CPU time", 100*m.Steal)
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
			"computing took a probe %.2f times its CPU time, and the process used %.1f of %.1f CPUs",
			m.Stretch,
			m.BusyCPUs,
			m.CPUs,
		)
	case m.Write > 3*usualWrite && m.Write > noticed:
		return host(DiskSlow, "a write to disk took %v, and usually takes %v", seconds(m.Write), seconds(usualWrite))
	case !math.IsNaN(m.Throttled) || !math.IsNaN(m.RunDelay) || !math.IsNaN(m.Stretch+m.BusyCPUs):
		return host(HostOK, "no shortage was seen")
	}
	return host(HostUndetermined, "nothing is known of the machine")
}

// ownDelay returns the RunDelay that the process alone causes: no more threads of a Go program run
// than there are CPUs, rounded up.
func (m Machine) ownDelay() float64 {
	return math.Min(m.contention(), math.Ceil(m.CPUs)/m.CPUs-1)
}

// contention returns how long a thread waits for a CPU, for each second that it runs, if the other
// threads that want one are those of the process, and begin at random.
func (m Machine) contention() float64 {
	cpus := int(math.Max(1, m.CPUs)) // 1 if they are not known
	waiting, err := sizing.ErlangC(cpus, m.BusyCPUs)
	if err != nil || m.BusyCPUs >= float64(cpus) {
		return math.Inf(1)
	}
	return waiting / (float64(cpus) - m.BusyCPUs)
}

func host(v HostVerdict, format string, args ...any) Finding[HostVerdict] {
	return Finding[HostVerdict]{v, fmt.Sprintf(format, args...)}
}
