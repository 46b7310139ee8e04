package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// app simulates a program with one pool, in a container on a machine. The fields in the first block
// may change while it runs.
type app struct {
	kind      kind
	limit     int     // slots
	cpus      float64 // CPUs of the machine or of the quota
	hogs      float64 // threads of other processes that are always ready to run
	quota     float64 // share of time in which the quota throttles the program
	rate      float64 // requests per second
	cpu       float64 // CPU seconds that a task needs
	locked    float64 // share of cpu that is spent under a lock
	blocked   float64 // seconds that a task waits for a downstream
	spread    float64 // coefficient of variation of cpu and blocked
	recovery  float64 // time at which the downstream service recovers; 0 means never
	usual     float64 // value of blocked after that
	patience  float64 // seconds after which a request gives up; 0 means never
	leak      float64 // probability that a task never completes
	fail      float64 // probability that a task fails immediately
	large     float64 // probability that a request needs several slots
	minLarge  int     // minimum number of slots that a large request needs
	maxLarge  int     // maximum number of slots that a large request needs
	long      float64 // probability that a task is blocked for a hundred times the mean task duration
	burst     float64 // factor by which the rate rises for one second in ten; 0 means no bursts
	diskWrite float64 // seconds that a disk probe's write takes

	rng     *rand.Rand
	now     float64
	arrival float64 // time of the next request
	queue   []*request
	running []*request
	lock    *request // request that holds the lock
	free    int
	leaked  int // slots lost to leaks

	stats    instrument.Stats // values that cannot be computed from the other fields
	wait     instrument.Histogram
	use      instrument.Histogram
	timedOut instrument.Histogram
	split    split
	host     counters
	ready    float64 // number of goroutines that wait for a processor
}

// kind is the kind of a pool, which determines what the pool knows about its uses.
type kind uint8

const (
	worker    kind = iota // knows how tasks spend their time, if they are short
	resource              // knows how long uses take
	semaphore             // knows nothing about single uses
)

// String returns the kind as it appears in metrics.
func (k kind) String() string { return [...]string{"worker", "resource", "semaphore"}[k] }

// counters holds the machine's counters.
type counters struct {
	busy, queued, lockWait, periods, throttled, writes, writeTime float64
}

// request is a request and, once it gets its slots, the task that it runs.
type request struct {
	asked, began float64
	slots        int
	cpu, blocked float64 // remaining seconds
	locked       float64
	fails, leaks bool
	waitsForLock bool
}

const step = 0.001 // seconds

// run simulates the program for window seconds.
func (a *app) run(window float64) {
	for end := a.now + window; a.now < end-step/2; a.now += step {
		a.step()
	}
	a.host.writes++
	a.host.writeTime += a.diskWrite * math.Exp(0.3*a.rng.NormFloat64())
}

// step simulates a millisecond. The program has as many threads as it has processors; the other
// ready goroutines wait for a thread.
func (a *app) step() {
	if a.recovery > 0 && a.now >= a.recovery && a.blocked != a.usual {
		a.recover()
	}
	a.arrive()
	a.giveUp()
	a.begin(a.now)
	a.stats.UseTime = instrument.Some(a.stats.UseTime.Or(0) + step*float64(a.limit-a.free))
	if len(a.queue) > 0 {
		a.stats.HeldBack = instrument.Some(a.stats.HeldBack.Or(0) + step*float64(a.free))
	}
	ready := 0.0
	for _, r := range a.running {
		if a.isReady(r) {
			ready++
		}
	}
	threads := math.Min(ready, math.Max(1, math.Ceil(a.cpus)))
	share := math.Min(1, a.cpus/(threads+a.hogs))
	a.host.periods += step * 10
	if a.rng.Float64() < a.quota {
		share = 0
		a.host.throttled += step * 10
	}
	a.ready = ready - threads
	inThread := 1.0 // probability that a ready goroutine has a thread
	if ready > threads {
		inThread = threads / ready
	}
	for _, r := range a.running {
		a.advance(r, share*inThread, (1-share)*inThread)
	}
	a.running = slices.DeleteFunc(a.running, a.ended)
	a.begin(a.now + step) // released slots go to the next requests immediately
}

// recover ends the downstream service's slowness, also for the requests that are waiting.
func (a *app) recover() {
	for _, r := range a.queue {
		r.blocked *= a.usual / a.blocked
	}
	a.blocked = a.usual
}

// isReady reports whether r's task is ready to use a CPU. If the task needs the lock and the lock
// is free, isReady acquires it for r.
func (a *app) isReady(r *request) bool {
	if r.leaks || r.cpu <= 0 {
		return false
	}
	if r.cpu <= r.locked && a.lock == nil {
		a.lock = r
	}
	r.waitsForLock = r.cpu <= r.locked && a.lock != r
	return !r.waitsForLock
}

// advance simulates r's task for one step. onCPU and queued are the shares of the step that the
// task's thread spends on a CPU and waiting for one.
func (a *app) advance(r *request, onCPU, queued float64) {
	switch {
	case r.waitsForLock:
		a.host.lockWait += step
		a.split.add(0, 0, step)
	case !r.leaks && r.cpu > 0:
		r.cpu -= step * onCPU
		a.split.add(step*onCPU, step*queued, step*(1-onCPU-queued))
		a.host.busy += step * onCPU
		a.host.queued += step * queued
		if a.lock == r && r.cpu <= 0 {
			a.lock = nil
		}
	default:
		r.blocked -= step
		a.split.add(0, 0, step)
	}
}

// ended reports whether r's task has completed. If it has, ended records its use and frees its
// slots.
func (a *app) ended(r *request) bool {
	if r.leaks || r.cpu > 0 || r.blocked > 0 {
		return false
	}
	took := duration(a.now + step - r.began)
	a.use.RecordN(took, 1)
	a.split.ended(took)
	how := instrument.OK
	if r.fails {
		how = instrument.Failed
	}
	count(&a.stats.Completed[how])
	a.free += r.slots
	return true
}

func (a *app) arrive() {
	for a.arrival <= a.now {
		r := &request{asked: a.arrival, slots: 1, cpu: a.draw(a.cpu), blocked: a.draw(a.blocked)}
		r.locked = a.locked * r.cpu
		r.leaks, r.fails = a.rng.Float64() < a.leak, a.rng.Float64() < a.fail
		if a.rng.Float64() < a.large {
			r.slots = a.minLarge + a.rng.IntN(a.maxLarge-a.minLarge+1)
		}
		if a.rng.Float64() < a.long {
			r.blocked += 100 * (a.cpu + a.blocked)
		}
		if r.fails {
			r.cpu, r.blocked = r.cpu/4, 0
		}
		a.queue = append(a.queue, r)
		rate := a.rate
		if a.burst > 0 && math.Mod(a.arrival, 10) < 1 {
			rate *= a.burst
		}
		a.arrival += a.rng.ExpFloat64() / rate
	}
}

func (a *app) giveUp() {
	for a.patience > 0 && len(a.queue) > 0 && a.now-a.queue[0].asked >= a.patience {
		a.timedOut.Record(duration(a.now - a.queue[0].asked))
		a.queue = a.queue[1:]
		count(&a.stats.Requests[instrument.TimedOut])
	}
}

func (a *app) begin(now float64) {
	for len(a.queue) > 0 && a.queue[0].slots <= a.free {
		r := a.queue[0]
		a.queue = a.queue[1:]
		a.free -= r.slots
		if r.leaks {
			a.leaked += r.slots
		}
		r.began = now
		count(&a.stats.Requests[instrument.Acquired])
		a.wait.Record(duration(now - r.asked))
		a.running = append(a.running, r)
	}
}

// report returns the Stats that the pool reports.
func (a *app) report() instrument.Stats {
	s := a.stats
	s.Limit = instrument.Some(int64(a.limit))
	s.Usage[instrument.Used] = instrument.Some(int64(a.limit - a.free))
	s.Pending = instrument.Some(int64(len(a.queue)))
	if len(a.queue) > 0 {
		s.PendingAge = instrument.Some(duration(a.now - a.queue[0].asked))
	}
	s.Wait[instrument.Acquired], s.Wait[instrument.TimedOut] = a.wait.Clone(), a.timedOut.Clone()
	if a.kind == worker {
		s.CPUTime = a.split.read(a.rng, s.UseTime.Or(0))
	}
	if a.kind == semaphore {
		return s
	}
	s.HeldBack = instrument.Optional[float64]{}
	s.Use = a.use.Clone()
	if len(a.running) > 0 { // running is sorted by start time
		s.UseAge = instrument.Some(duration(a.now - a.running[0].began))
	}
	return s
}

// draw returns a lognormally distributed value with the given mean.
func (a *app) draw(mean float64) float64 {
	if mean == 0 {
		return 0
	}
	sigma := math.Sqrt(math.Log(1 + a.spread*a.spread))
	return mean * math.Exp(sigma*a.rng.NormFloat64()-sigma*sigma/2)
}

func duration(seconds float64) time.Duration {
	return max(0, time.Duration(seconds*float64(time.Second)))
}

// count increments n.
func count(n *instrument.Optional[int64]) { *n = instrument.Some(n.Or(0) + 1) }

// split models how a pool breaks down its tasks' time by sampling. A pool takes no samples while
// any of the last 100 to 199 tasks took ten milliseconds or longer.
type split struct {
	parts           [3]float64 // sampled seconds since the last report
	seconds         [3]float64 // the breakdown of the time in use
	until           float64    // the time in use that seconds breaks down
	known           bool       // whether there is a breakdown
	tasks           int
	longest, before time.Duration // the longest of the current and of the previous hundred tasks
}

func (s *split) add(onCPU, queued, blocked float64) {
	if max(s.longest, s.before) < 10*time.Millisecond {
		s.parts[0], s.parts[1], s.parts[2] = s.parts[0]+onCPU, s.parts[1]+queued, s.parts[2]+blocked
	}
}

func (s *split) ended(took time.Duration) {
	s.longest = max(s.longest, took)
	if s.tasks++; s.tasks%100 == 0 {
		s.before, s.longest = s.longest, 0
	}
}

// read returns the breakdown of useTime, in seconds. Values are absent if there were no samples
// yet.
func (s *split) read(rng *rand.Rand, useTime float64) (all [3]instrument.Optional[float64]) {
	for i := range s.parts {
		s.parts[i] *= math.Exp(0.1 * rng.NormFloat64()) // sampling noise
	}
	if total := s.parts[0] + s.parts[1] + s.parts[2]; total > 0 {
		for i, part := range s.parts {
			s.seconds[i] += (useTime - s.until) * part / total
		}
		s.until, s.parts, s.known = useTime, [3]float64{}, true
	}
	if s.known {
		for i, v := range s.seconds {
			all[i] = instrument.Some(v)
		}
	}
	return all
}
