package sizing

import (
	"container/heap"
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// machine simulates a machine whose clock rate drifts, with a neighbor that uses some of the CPUs
// at times.
type machine struct {
	cpus     float64
	neighbor float64 // fraction of the CPUs that the neighbor uses while awake
	rng      *rand.Rand

	changes []change // by increasing time; extended as needed
	awake   bool
}

type change struct{ at, cpus, clock float64 }

const (
	driftStep = 0.25 // seconds
	asleepFor = 1.5  // seconds, on average: awake for a quarter of the time
	awakeFor  = 0.5
)

// at returns the number of CPUs and the clock rate at the time now, and the time of the next
// change.
func (m *machine) at(now float64) (cpus, clock, next float64) {
	if len(m.changes) == 0 {
		m.changes = []change{{0, m.cpus, 1}}
	}
	for m.changes[len(m.changes)-1].at <= now {
		m.extend()
	}
	i := len(m.changes) - 1
	for m.changes[i].at > now {
		i--
	}
	return m.changes[i].cpus, m.changes[i].clock, m.changes[i+1].at
}

func (m *machine) extend() {
	last := m.changes[len(m.changes)-1]
	length := driftStep * (0.5 + m.rng.Float64())
	mean := asleepFor
	if m.awake {
		mean = awakeFor
	}
	if m.rng.Float64() < length/mean {
		m.awake = !m.awake
	}
	next := change{at: last.at + length, cpus: m.cpus}
	if m.awake {
		next.cpus *= 1 - m.neighbor
	}
	// ±10% within a minute, and ±1% between steps
	next.clock = 1 + 0.1*math.Sin(2*math.Pi*next.at/60) + 0.01*m.rng.NormFloat64()
	m.changes = append(m.changes, next)
}

// bench measures a model on a machine, in simulated time.
type bench struct {
	model
	*machine
	rng *rand.Rand
	now float64
}

func newBench(m model, neighbor float64, seed uint64) *bench {
	return &bench{
		model: m, rng: rand.New(rand.NewPCG(seed, 1)),
		machine: &machine{cpus: m.cpus, neighbor: neighbor, rng: rand.New(rand.NewPCG(seed, 2))},
	}
}

func (b *bench) clock() time.Time { return time.Unix(0, 0).Add(seconds(b.now)) }

// measure does in simulated time what measureTask does with goroutines.
func (b *bench) measure(
	ctx context.Context, workers int, warm, window time.Duration,
) (measurement, error) {
	if err := ctx.Err(); err != nil {
		return measurement{}, err
	}
	done, inside := 0.0, workers
	from := b.now + warm.Seconds()
	to := from + window.Seconds()
	s := &simulation{model: b.model, rng: b.rng, machine: b.machine, now: b.now}
	s.finished = func(began, now float64) {
		if began == 0 { // the worker has just started
			return
		}
		if part := min(now, to) - max(began, from); part > 0 {
			done += part / (now - began)
		}
		if now >= to && began < to {
			inside--
		}
	}
	for range workers {
		w := &worker{phase: blockedPhase, due: s.now + b.rng.Float64()*stagger(warm).Seconds()}
		heap.Push(&s.asleep, w)
	}
	for inside > 0 {
		s.step()
	}
	b.now = s.now
	return measurement{rate: done / window.Seconds()}, nil
}
