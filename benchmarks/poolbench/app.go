package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
)

// app is a simulated program with one pool. Its fields may change while it runs.
type app struct {
	limit    int     // slots
	cpus     float64 // of the machine, or of the quota
	hogs     float64 // other threads that are always ready to run
	quota    float64 // share of the time for which the quota stops the program
	rate     float64 // requests a second
	cpu      float64 // seconds of CPU a task takes
	locked   float64 // share of that under a lock
	blocked  float64 // seconds that a task waits for what it calls
	spread   float64 // coefficient of variation of both
	patience float64 // seconds after which a request gives up; 0 is never
	leak     float64 // probability that a task never ends
	fail     float64 // probability that a task fails at once
	large    float64 // probability that a request wants nearly all slots
	burst    float64 // how many times as many requests come in one second of ten; 0 is no more

	rng      *rand.Rand
	now      float64
	arrival  float64 // of the next request
	line     []*request
	running  []*request
	lock     *request // that holds the lock
	free     int
	total    diagnose.Figures
	runDelay float64
	lockWait float64
	ready    float64 // sum over steps
	steps    float64
	stopped  float64
}

// request is one request and the task that it becomes.
type request struct {
	asked, began  float64
	slots         int
	cpu, blocked  float64 // what is left of it
	locked        float64
	fails, leaks  bool
	waitsForALock bool
}

const step = 0.001 // seconds

// figures returns what the pool reports now.
func (a *app) figures() diagnose.Figures {
	f := a.total
	f.At = time.Unix(0, 0).Add(time.Duration(a.now * float64(time.Second)))
	f.Limit, f.Used, f.Idle = float64(a.limit), float64(a.limit-a.free), math.NaN()
	f.Pending, f.PendingAge = float64(len(a.line)), 0
	if a.large > 0 { // it is a semaphore, which does not know its uses
		f.EndedTime, f.OnCPU, f.RunQueue, f.Blocked = math.NaN(), math.NaN(), math.NaN(), math.NaN()
	}
	if len(a.line) > 0 {
		f.PendingAge = a.now - a.line[0].asked
	}
	return f
}

// run runs the program for a window, and returns what it reports at its end.
func (a *app) run(window float64) (diagnose.Figures, diagnose.Machine) {
	before := a.total
	a.runDelay, a.lockWait, a.ready, a.steps, a.stopped = 0, 0, 0, 0, 0
	busy := 0.0
	for end := a.now + window; a.now < end; a.now += step {
		busy += a.step()
	}
	m := diagnose.UnknownMachine()
	used := a.total.UseTime - before.UseTime
	m.CPUs, m.BusyCPUs, m.Steal, m.MemoryPressure = a.cpus, busy/window, 0, 0
	m.Throttled = a.stopped / a.steps
	m.RunDelay = a.runDelay / math.Max(busy, step)
	m.LockWait = a.lockWait / math.Max(used, step)
	m.Runnable = a.ready / a.steps / a.cpus
	return a.figures(), m
}

// step lets a millisecond pass, and returns the CPU time that the program used.
func (a *app) step() (busy float64) {
	a.arrive()
	a.giveUp()
	a.begin()
	ready := 0.0
	for _, r := range a.running {
		if a.isReady(r) {
			ready++
		}
	}
	share := math.Min(1, a.cpus/(ready+a.hogs))
	a.steps++
	if a.rng.Float64() < a.quota {
		share = 0
		a.stopped++
	}
	a.ready += ready
	for _, r := range a.running {
		a.total.UseTime += step * float64(r.slots)
		busy += a.advance(r, share)
	}
	a.running = slices.DeleteFunc(a.running, a.ended)
	a.begin() // a slot that is given back goes to the next request at once
	return busy
}

// isReady reports whether a task wants a CPU. One that wants the lock takes it if it is free.
func (a *app) isReady(r *request) bool {
	if r.leaks || r.cpu <= 0 {
		return false
	}
	if r.cpu <= r.locked && a.lock == nil {
		a.lock = r
	}
	r.waitsForALock = r.cpu <= r.locked && a.lock != r
	return !r.waitsForALock
}

// advance lets a task go on for a step with a share of a CPU.
func (a *app) advance(r *request, share float64) (busy float64) {
	slots := float64(r.slots)
	switch {
	case r.waitsForALock:
		a.lockWait += step * slots
		a.total.Blocked += step * slots
	case !r.leaks && r.cpu > 0:
		r.cpu -= step * share
		a.total.OnCPU += step * share * slots
		a.total.RunQueue += step * (1 - share) * slots
		a.runDelay += step * (1 - share)
		if a.lock == r && r.cpu <= 0 {
			a.lock = nil
		}
		return step * share
	default:
		r.blocked -= step
		a.total.Blocked += step * slots
	}
	return 0
}

func (a *app) ended(r *request) bool {
	if r.leaks || r.cpu > 0 || r.blocked > 0 {
		return false
	}
	a.total.Ended++
	a.total.EndedTime += (a.now + step - r.began) * float64(r.slots)
	if r.fails {
		a.total.Failed++
	}
	a.free += r.slots
	return true
}

func (a *app) arrive() {
	for a.arrival <= a.now {
		r := &request{asked: a.arrival, slots: 1, cpu: a.draw(a.cpu), blocked: a.draw(a.blocked)}
		r.locked = a.locked * r.cpu
		r.leaks, r.fails = a.rng.Float64() < a.leak, a.rng.Float64() < a.fail
		if a.rng.Float64() < a.large {
			r.slots = max(2, a.limit*9/10)
		}
		if r.fails {
			r.cpu, r.blocked = r.cpu/4, 0
		}
		a.line = append(a.line, r)
		rate := a.rate
		if a.burst > 0 && math.Mod(a.arrival, 10) < 1 {
			rate *= a.burst
		}
		a.arrival += a.rng.ExpFloat64() / rate
	}
}

func (a *app) giveUp() {
	for a.patience > 0 && len(a.line) > 0 && a.now-a.line[0].asked >= a.patience {
		a.line = a.line[1:]
		a.total.Refused++
	}
}

func (a *app) begin() {
	for len(a.line) > 0 && a.line[0].slots <= a.free {
		r := a.line[0]
		a.line = a.line[1:]
		a.free -= r.slots
		r.began = a.now
		a.total.Served++
		a.total.WaitTime += math.Max(0, a.now-r.asked)
		a.running = append(a.running, r)
	}
}

// draw returns a lognormal value.
func (a *app) draw(mean float64) float64 {
	if mean == 0 {
		return 0
	}
	sigma := math.Sqrt(math.Log(1 + a.spread*a.spread))
	return mean * math.Exp(sigma*a.rng.NormFloat64()-sigma*sigma/2)
}
