package autosize

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/poolgauge/poolgauge/diagnose"
)

// model simulates the program that serves a workload, in a synctest bubble's virtual time.
type model struct {
	load    workload
	start   time.Time
	cpus    *semaphore.Weighted
	servers *semaphore.Weighted
	lock    *semaphore.Weighted

	mu   sync.Mutex
	busy [length / period]time.Duration // CPU time used in each period of the quota
	seen int                            // number of periods already reported by machine
}

const (
	maxCPUs = 2
	quantum = time.Millisecond       // CPU time after which a task yields its CPU
	period  = 100 * time.Millisecond // of the CPU quota
)

func newModel(w workload) *model {
	m := &model{
		load: w, start: time.Now(), cpus: semaphore.NewWeighted(maxCPUs),
		servers: semaphore.NewWeighted(8), lock: semaphore.NewWeighted(1),
	}
	return m
}

// limitCPUs keeps the number of CPUs that tasks can use at what the workload prescribes for the
// current time, until ctx is done.
func (m *model) limitCPUs(ctx context.Context) {
	taken := int64(0)
	for ctx.Err() == nil && m.load.cpus != nil {
		for want := maxCPUs - m.load.cpus(m.at()); taken != want; {
			switch {
			case taken > want:
				m.cpus.Release(1)
				taken--
			case m.cpus.Acquire(ctx, 1) == nil:
				taken++
			default:
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(period):
		}
	}
}

func (m *model) at() time.Duration { return time.Since(m.start) }

// machine returns what the program would know about its machine: the current number of CPUs, and
// the share of periods in which it was throttled since the last call.
func (m *model) machine() diagnose.Machine {
	d := diagnose.UnknownMachine()
	if m.load.cpus == nil {
		return d
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d.CPUs = float64(m.load.cpus(m.at()))
	now := min(int(m.at()/period), len(m.busy))
	if m.load.quota && now > m.seen {
		stopped := 0
		for _, busy := range m.busy[m.seen:now] {
			if busy >= time.Duration(d.CPUs*float64(period)) {
				stopped++
			}
		}
		d.Throttled = float64(stopped) / float64(now-m.seen)
	}
	m.seen = now
	return d
}

// request is one request, as passed to the workload's task.
type request struct {
	*model
	rng *rand.Rand
}

func (r *request) random() float64 { return r.rng.Float64() }

// sleep sleeps for exactly d.
func (r *request) sleep(d time.Duration) { time.Sleep(d) }

// wait sleeps for an exponentially distributed time with the given mean.
func (r *request) wait(mean time.Duration) { time.Sleep(r.about(mean)) }

// about returns a random duration from an exponential distribution with the given mean.
func (r *request) about(mean time.Duration) time.Duration {
	return time.Duration(r.rng.ExpFloat64() * float64(mean))
}

// locked acquires the lock and holds it for a random time with the given mean.
func (r *request) locked(mean time.Duration) { r.within(r.lock, r.about(mean)) }

// call waits for one of eight servers and occupies it for a random time with the given mean.
func (r *request) call(mean time.Duration) { r.within(r.servers, r.about(mean)) }

// compute uses a random amount of CPU time with the given mean, and yields the CPU to other tasks
// after each quantum.
func (r *request) compute(mean time.Duration) {
	for left := r.about(mean); left > 0; left -= quantum {
		r.within(r.cpus, min(left, quantum))
		r.mu.Lock()
		if at := int(r.at() / period); at < len(r.busy) {
			r.busy[at] += min(left, quantum)
		}
		r.mu.Unlock()
	}
}

func (r *request) within(s *semaphore.Weighted, d time.Duration) {
	_ = s.Acquire(context.Background(), 1) // cannot fail: the context is never done
	time.Sleep(d)
	s.Release(1)
}
