package main

import (
	"math"
	"math/rand/v2"

	"github.com/poolgauge/poolgauge/diagnose"
)

// between draws a log-uniformly distributed number from lo to hi.
type between func(lo, hi float64) float64

// fault is a fault of a program, or a healthy variation.
type fault struct {
	name      string
	inject    func(a *app, b between)
	developed func(a *app) bool // reports whether the fault has developed; nil means immediately
	// right lists the correct verdicts once the fault has developed, starting with the intended
	// one. It includes Undetermined if no metric of the pool or the machine shows the fault.
	right []diagnose.Verdict
	host  diagnose.HostVerdict // HostOK except for faults of the machine
}

// healthy reports whether f is only a healthy variation, for which any verdict that something is
// wrong is a false alarm.
func (f *fault) healthy() bool { return f.right[0] == diagnose.OK && f.host == diagnose.HostOK }

// verdictsIfHostFaulty lists the correct verdicts on a pool if the machine is at fault.
var verdictsIfHostFaulty = []diagnose.Verdict{
	diagnose.OK, diagnose.Undetermined, diagnose.Oversized, diagnose.Starved, diagnose.CPUSaturated,
}

// semaphorePrefix starts the names of faults in programs whose pool is a semaphore from the start.
const semaphorePrefix = "semaphore: "

var faults = []fault{
	{"healthy: idle", idle, nil, okOr(diagnose.Oversized), diagnose.HostOK},
	{"healthy: busy", busy, nil, okOr(), diagnose.HostOK},
	{"healthy: bursts", bursts, nil, okOr(diagnose.Undetermined), diagnose.HostOK},
	{"healthy: one long task in 300", longTasks, nil, okOr(diagnose.Undetermined), diagnose.HostOK},
	{"healthy: requests of several sizes", sizes, nil, okOr(diagnose.Undetermined), diagnose.HostOK},
	{"oversized", oversized, nil, []diagnose.Verdict{diagnose.Oversized, diagnose.OK}, diagnose.HostOK},
	{"too small", tooSmall, nil, only(diagnose.TooSmall), diagnose.HostOK},
	{"leaking", leaking, hasLeaked, only(diagnose.Leaking), diagnose.HostOK},
	{"downstream slow", downstreamSlow, nil, only(diagnose.DownstreamSlow), diagnose.HostOK},
	{"lock contention", lockContention, nil, only(diagnose.LockContention), diagnose.HostOK},
	{"CPU saturated", cpuSaturated, nil, only(diagnose.CPUSaturated), diagnose.HostOK},
	{"starved", starved, nil, only(diagnose.Starved), diagnose.NoisyNeighbor},
	{"head of line", headOfLine, nil, only(diagnose.HeadOfLine), diagnose.HostOK},
	{"failing", failing, nil, only(diagnose.Failing), diagnose.HostOK},
	{"throttled", throttled, nil, verdictsIfHostFaulty, diagnose.Throttled},
	{"noisy neighbor", neighbor, nil, verdictsIfHostFaulty, diagnose.NoisyNeighbor},
	{
		"disk slow",
		diskSlow,
		nil,
		[]diagnose.Verdict{diagnose.OK, diagnose.DownstreamSlow, diagnose.Undetermined, diagnose.Oversized},
		diagnose.DiskSlow,
	},
	{"too small, requests of several sizes", both(tooSmall, sizes), nil, []diagnose.Verdict{
		diagnose.TooSmall, diagnose.Undetermined,
	}, diagnose.HostOK},
	{"too small, and throttled", both(tooSmall, lightlyThrottled), nil, []diagnose.Verdict{
		diagnose.TooSmall, diagnose.Starved, diagnose.CPUSaturated, diagnose.Undetermined,
	}, diagnose.Throttled},
	{
		"leaking, and a noisy neighbor",
		both(leaking, neighbor),
		hasLeaked,
		only(diagnose.Leaking),
		diagnose.NoisyNeighbor,
	},
	{"leaking, and downstream slow", both(downstreamSlow, leaking), hasLeaked, []diagnose.Verdict{
		diagnose.Leaking, diagnose.DownstreamSlow, diagnose.Undetermined,
	}, diagnose.HostOK},
	{"failing, and too small", both(tooSmall, failing), nil, only(diagnose.Failing), diagnose.HostOK},
	{semaphorePrefix + "busy", busy, nil, okOr(), diagnose.HostOK},
	{semaphorePrefix + "bursts", bursts, nil, okOr(diagnose.Undetermined), diagnose.HostOK},
	{semaphorePrefix + "too small", tooSmall, nil, []diagnose.Verdict{
		diagnose.TooSmall, diagnose.Undetermined,
	}, diagnose.HostOK},
	{semaphorePrefix + "leaking", leaking, hasLeaked, []diagnose.Verdict{
		diagnose.Leaking, diagnose.Undetermined, diagnose.OK,
	}, diagnose.HostOK},
	{semaphorePrefix + "downstream slow", downstreamSlow, nil, []diagnose.Verdict{
		diagnose.DownstreamSlow, diagnose.Undetermined,
	}, diagnose.HostOK},
	{"downstream slow, then healthy again", recovers, hasRecovered, []diagnose.Verdict{
		diagnose.Undetermined, diagnose.OK, diagnose.DownstreamSlow, diagnose.CPUSaturated,
	}, diagnose.HostOK},
}

// okOr returns the verdicts OK and others.
func okOr(others ...diagnose.Verdict) []diagnose.Verdict { return append(only(diagnose.OK), others...) }

func only(v diagnose.Verdict) []diagnose.Verdict { return []diagnose.Verdict{v} }

func both(first, second func(a *app, b between)) func(a *app, b between) {
	return func(a *app, b between) { first(a, b); second(a, b) }
}

func idle(a *app, b between) { a.rate *= b(0.05, 0.3) }

func busy(*app, between) {}

func bursts(a *app, b between) { a.burst = b(1.5, 4) }

func longTasks(a *app, _ between) {
	a.long = 1.0 / 300
	a.rate *= 0.75 // the mean use is a third longer
}

func sizes(a *app, b between) {
	a.kind, a.large, a.minLarge, a.maxLarge = semaphore, b(0.05, 0.3), 2, max(2, a.limit/8)
	a.rate /= 1 + a.large*float64(a.maxLarge)/2 // divides by about the mean number of slots per request
}

func oversized(a *app, _ between) {
	a.free += 200 - a.limit
	a.limit = 200
}

func tooSmall(a *app, b between) {
	a.rate = b(1.2, 2) * float64(a.limit) / (a.cpu + a.blocked)
	a.cpus = math.Max(a.cpus, 2*a.rate*a.cpu)
}

func cpuSaturated(a *app, b between) {
	a.cpus = float64(a.limit) * b(0.2, 0.6) * a.cpu / (a.cpu + a.blocked)
	a.rate = b(1.1, 1.6) * a.cpus / a.cpu
}

// starved leaves the program so little CPU time that its uses take too long for the number of
// slots.
func starved(a *app, b between) {
	long := b(1.3, 2) * float64(a.limit) / a.rate
	share := a.cpu / math.Max(long-a.blocked, 2*a.cpu)
	a.hogs = a.cpus/share + 1
}

func lockContention(a *app, b between) {
	a.cpus = math.Max(a.cpus, 8)
	a.locked = 0.9
	// the lock saturates before the pool
	a.cpu = math.Max(math.Max(a.cpu, 10*step), a.blocked/(0.54*float64(a.limit)-1))
	a.rate = b(1.1, 1.5) / (a.locked * a.cpu)
}

func downstreamSlow(a *app, b between) {
	a.blocked = b(1.3, 2.5) * math.Max(float64(a.limit)/a.rate, 3*(a.cpu+a.blocked))
}

// recovers makes the downstream service slow for one to four minutes. The requests that are then
// waiting are served after that, at the usual speed.
func recovers(a *app, b between) {
	a.recovery, a.usual = a.now+b(60, 240), a.blocked
	downstreamSlow(a, b)
}

func hasRecovered(a *app) bool { return a.now >= a.recovery }

// leaking leaks 40% to 70% of the slots in a minute.
func leaking(a *app, b between) { a.leak = b(0.4, 0.7) * float64(a.limit) / (60 * a.rate) }

// hasLeaked reports whether at least a tenth of the slots, and at least one slot, has leaked.
func hasLeaked(a *app) bool { return a.leaked >= max(1, (a.limit+9)/10) }

func headOfLine(a *app, b between) {
	if grow := 8 / float64(a.limit); grow > 1 { // a pool with few slots fills up quickly
		a.free += 8 - a.limit
		a.limit, a.rate, a.cpus = 8, a.rate*grow, a.cpus*grow
	}
	a.kind, a.large, a.minLarge, a.maxLarge = semaphore, b(0.1, 0.3), a.limit*9/10, a.limit*9/10
}

func failing(a *app, b between) { a.fail = b(0.6, 1) }

func throttled(a *app, b between) { a.quota = b(0.3, 0.7) }

func lightlyThrottled(a *app, b between) { a.quota = b(0.15, 0.3) }

// neighbor adds processes that need one to two times as many CPUs as the machine has.
func neighbor(a *app, b between) { a.hogs = math.Ceil(a.cpus) * b(1, 2) }

func diskSlow(a *app, b between) { a.diskWrite *= b(5, 20) }

// healthy returns a healthy program, which uses half of its slots and of its CPUs.
func healthy(rng *rand.Rand) (*app, between) {
	b := func(lo, hi float64) float64 { return lo * math.Pow(hi/lo, rng.Float64()) }
	a := &app{rng: rng, kind: kind(rng.IntN(2)), limit: int(b(4, 48)), cpu: b(0.0015, 0.02), spread: rng.Float64()}
	a.blocked = a.cpu * b(0.5, 10)
	a.rate = b(0.35, 0.6) * float64(a.limit) / (a.cpu + a.blocked)
	a.cpus = math.Max(1, a.rate*a.cpu*b(1.8, 4))
	a.diskWrite = b(0.004, 0.02)
	if rng.IntN(2) == 0 {
		a.patience = b(0.5, 5)
	}
	a.free = a.limit
	a.arrival = rng.ExpFloat64() / a.rate
	return a, b
}
