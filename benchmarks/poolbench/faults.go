package main

import (
	"math"
	"math/rand/v2"

	"github.com/poolgauge/poolgauge/diagnose"
)

// fault is something that goes wrong in a program, or that goes well.
type fault struct {
	name   string
	inject func(a *app, between func(lo, hi float64) float64)
	// right are the verdicts that are right once the fault is there. The first is the one aimed at; the
	// others are as true of it.
	right []diagnose.Verdict
	host  diagnose.HostVerdict // HostOK but for faults of the machine
}

var faults = []fault{
	{"healthy idle", func(a *app, b func(lo, hi float64) float64) {
		a.rate *= b(0.05, 0.3)
	}, []diagnose.Verdict{diagnose.OK, diagnose.Oversized}, diagnose.HostOK},
	{"healthy busy", func(*app, func(lo, hi float64) float64) {}, []diagnose.Verdict{diagnose.OK}, diagnose.HostOK},
	{"burst", func(a *app, b func(lo, hi float64) float64) {
		a.burst = b(1.5, 4)
	}, []diagnose.Verdict{diagnose.OK, diagnose.Undetermined}, diagnose.HostOK},
	{"oversized", func(a *app, _ func(lo, hi float64) float64) {
		a.free += 200 - a.limit
		a.limit = 200
	}, []diagnose.Verdict{diagnose.Oversized, diagnose.OK}, diagnose.HostOK},
	{"too small", func(a *app, b func(lo, hi float64) float64) {
		a.rate = b(1.2, 2) * float64(a.limit) / (a.cpu + a.blocked)
		a.cpus = math.Max(a.cpus, 2*a.rate*a.cpu)
	}, []diagnose.Verdict{diagnose.TooSmall}, diagnose.HostOK},
	{"CPU saturated", func(a *app, b func(lo, hi float64) float64) {
		a.cpus = float64(a.limit) * b(0.2, 0.6) * a.cpu / (a.cpu + a.blocked)
		a.rate = b(1.1, 1.6) * a.cpus / a.cpu
	}, []diagnose.Verdict{diagnose.CPUSaturated}, diagnose.HostOK},
	{"starved", func(a *app, b func(lo, hi float64) float64) {
		// The share of a CPU that is left makes a use long enough for the slots not to suffice.
		long := b(1.3, 2) * float64(a.limit) / a.rate
		share := a.cpu / math.Max(long-a.blocked, 2*a.cpu)
		a.hogs = a.cpus/share + 1
	}, []diagnose.Verdict{diagnose.Starved}, diagnose.NoisyNeighbor},
	{"lock contention", func(a *app, b func(lo, hi float64) float64) {
		a.cpus = math.Max(a.cpus, 8)
		a.locked = 0.9
		a.cpu = math.Max(a.cpu, a.blocked/(0.54*float64(a.limit)-1)) // the lock is full before the pool is
		a.rate = b(1.1, 1.5) / (a.locked * a.cpu)
	}, []diagnose.Verdict{diagnose.LockContention}, diagnose.HostOK},
	{"downstream slow", func(a *app, b func(lo, hi float64) float64) {
		a.blocked = b(1.3, 2.5) * math.Max(float64(a.limit)/a.rate, 3*(a.cpu+a.blocked))
	}, []diagnose.Verdict{diagnose.DownstreamSlow}, diagnose.HostOK},
	{"leaking", func(a *app, b func(lo, hi float64) float64) {
		// All but a part of the slots is gone after a minute.
		a.leak = b(0.4, 0.7) * float64(a.limit) / (60 * a.rate)
	}, []diagnose.Verdict{diagnose.Leaking}, diagnose.HostOK},
	{"head of line", func(a *app, b func(lo, hi float64) float64) {
		a.large = b(0.1, 0.3)
	}, []diagnose.Verdict{diagnose.HeadOfLine}, diagnose.HostOK},
	{"failing", func(a *app, b func(lo, hi float64) float64) {
		a.fail = b(0.6, 1)
	}, []diagnose.Verdict{diagnose.Failing}, diagnose.HostOK},
	{"throttled", func(a *app, b func(lo, hi float64) float64) {
		a.quota = b(0.3, 0.7)
	}, []diagnose.Verdict{diagnose.Starved, diagnose.CPUSaturated, diagnose.OK, diagnose.Undetermined}, diagnose.Throttled},
}

// healthy makes a program that is well: half of its slots and of its CPUs are used.
func healthy(rng *rand.Rand) (*app, func(lo, hi float64) float64) {
	between := func(lo, hi float64) float64 { return lo * math.Pow(hi/lo, rng.Float64()) }
	a := &app{rng: rng, limit: int(between(4, 48)), cpu: between(0.003, 0.02), spread: rng.Float64()}
	a.blocked = a.cpu * between(0.5, 10)
	a.rate = between(0.35, 0.6) * float64(a.limit) / (a.cpu + a.blocked)
	a.cpus = math.Max(1, a.rate*a.cpu*between(1.8, 4))
	if rng.IntN(2) == 0 {
		a.patience = between(0.5, 5)
	}
	a.free = a.limit
	a.arrival = rng.ExpFloat64() / a.rate
	return a, between
}
