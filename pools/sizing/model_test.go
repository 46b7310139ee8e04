package sizing

import (
	"container/heap"
	"math"
	"math/rand/v2"
)

// model is a closed system of workers that always have a task. Each task first runs on the CPUs,
// which are shared equally, then runs while it holds a lock with a single FIFO queue, and then
// blocks.
type model struct {
	cpus             float64
	before, locked   float64 // CPU time in seconds, before a task locks the lock and while it holds it
	blocked          float64
	cvCPU, cvBlocked float64
}

func (m model) cpu() float64 { return m.before + m.locked }

// limit returns the throughput that no number of workers can exceed.
func (m model) limit() float64 { return 1 / max(m.cpu()/m.cpus, m.locked) }

// observed holds what a pool's metrics would report. wall, cpu and runDelay are means over sampled
// tasks, and lockWait is the mean over all tasks.
type observed struct{ rate, wall, cpu, runDelay, lockWait float64 }

type phase int

const (
	running phase = iota
	lockedPhase
	blockedPhase
)

type worker struct {
	phase                    phase
	due                      float64 // end of the phase: a value of simulation.served, or a time if blocked
	began, cpuNeed, cpuBegan float64
	cpu, runDelay, lockAsked float64
}

type byDue []*worker

func (h byDue) Len() int           { return len(h) }
func (h byDue) Less(i, j int) bool { return h[i].due < h[j].due }
func (h byDue) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byDue) Push(x any)        { *h = append(*h, x.(*worker)) }
func (h *byDue) Pop() any {
	old := *h
	w := old[len(old)-1]
	*h = old[:len(old)-1]
	return w
}

type simulation struct {
	model
	rng           *rand.Rand
	now, served   float64 // time, and CPU service that each running worker has received since the start
	onCPU, asleep byDue
	queue         []*worker // for the lock; the first worker holds it
	tasks         int
	sum           observed
	samples       int

	machine  *machine                 // if nil, the CPUs and their clock rate do not change
	finished func(began, now float64) // if not nil, called for each task
}

// lognormal draws a value with the given mean and coefficient of variation.
func lognormal(rng *rand.Rand, mean, cv float64) float64 {
	if cv == 0 {
		return mean
	}
	s2 := math.Log1p(cv * cv)
	return mean * math.Exp(math.Sqrt(s2)*rng.NormFloat64()-s2/2)
}

// run simulates n workers until the given number of tasks have been completed, after a warm-up of a
// tenth as many.
func (m model) run(n, tasks int, seed uint64) observed {
	s := &simulation{model: m, rng: rand.New(rand.NewPCG(seed, uint64(n)))}
	for range n { // each worker starts at a random point of its blocked time
		w := &worker{phase: blockedPhase, due: s.rng.Float64() * m.blocked}
		heap.Push(&s.asleep, w)
	}
	s.until(tasks / 10)
	s.sum, s.samples = observed{}, 0
	began, done := s.now, s.tasks
	s.until(s.tasks + tasks)
	count := float64(s.tasks - done)
	k := float64(max(1, s.samples))
	return observed{
		rate: count / (s.now - began), wall: s.sum.wall / k, cpu: s.sum.cpu / k, runDelay: s.sum.runDelay / k,
		lockWait: s.sum.lockWait / count,
	}
}

func (s *simulation) until(tasks int) {
	for s.tasks < tasks {
		s.step()
	}
}

func (s *simulation) step() {
	speed := 0.0
	cpuAt, sleepAt := math.Inf(1), math.Inf(1)
	cpus, clock, changeAt := s.cpus, 1.0, math.Inf(1)
	if s.machine != nil {
		cpus, clock, changeAt = s.machine.at(s.now)
	}
	if len(s.onCPU) > 0 {
		speed = clock * min(1, cpus/float64(len(s.onCPU)))
		cpuAt = s.now + (s.onCPU[0].due-s.served)/speed
	}
	if len(s.asleep) > 0 {
		sleepAt = s.asleep[0].due
	}
	at := min(cpuAt, sleepAt, changeAt)
	s.served += (at - s.now) * speed
	s.now = at
	if at == changeAt {
		return
	}
	if cpuAt > sleepAt {
		s.wake(heap.Pop(&s.asleep).(*worker))
		return
	}
	w := heap.Pop(&s.onCPU).(*worker)
	w.runDelay += s.now - w.cpuBegan - w.cpuNeed
	switch {
	case w.phase == running && s.locked > 0:
		w.lockAsked = s.now
		s.queue = append(s.queue, w)
		if len(s.queue) == 1 {
			s.grant()
		}
	case w.phase == lockedPhase:
		s.queue = s.queue[1:]
		if len(s.queue) > 0 {
			s.grant()
		}
		s.block(w)
	default:
		s.block(w)
	}
}

func (s *simulation) grant() {
	w := s.queue[0]
	s.sum.lockWait += s.now - w.lockAsked
	w.phase = lockedPhase
	s.compute(w, s.locked)
}

func (s *simulation) compute(w *worker, mean float64) {
	w.cpuNeed, w.cpuBegan = lognormal(s.rng, mean, s.cvCPU), s.now
	w.cpu += w.cpuNeed
	w.due = s.served + w.cpuNeed
	heap.Push(&s.onCPU, w)
}

func (s *simulation) block(w *worker) {
	w.phase = blockedPhase
	w.due = s.now
	if s.blocked > 0 {
		w.due += lognormal(s.rng, s.blocked, s.cvBlocked)
	}
	heap.Push(&s.asleep, w)
}

// wake ends a task and begins the next.
func (s *simulation) wake(w *worker) {
	s.tasks++
	if s.finished != nil {
		s.finished(w.began, s.now)
	}
	if s.tasks%4 == 0 { // sampled, as by a pool
		s.samples++
		s.sum.wall += s.now - w.began
		s.sum.cpu += w.cpu
		s.sum.runDelay += w.runDelay
	}
	*w = worker{began: s.now}
	s.compute(w, s.before)
}

// knee returns the smallest size with 95% of the limit.
func (m model) knee(tasks int, seed uint64) int {
	enough := func(n int) bool { return m.run(n, tasks, seed).rate >= 0.95*m.limit() }
	hi := 1
	for !enough(hi) {
		hi *= 2
	}
	lo := hi / 2 // not enough
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; enough(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}
