package main

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/collector/export"
)

const (
	step     = time.Second
	interval = 10 * time.Second // time between batches
	// mean size in bytes of a batch, which holds the metrics of a sidecar and of a small app
	meanBatch = 24 << 10
	queueSize = 16 << 20         // the sidecars' --queue-size
	window    = 10               // number of steps over which load is averaged to find a gateway's peak
	downtime  = 30 * time.Second // of each gateway in a rolling restart
	stagger   = time.Minute      // time between the restarts of consecutive gateways
)

// sidecar models the metrics lane of one sidecar's relay.
type sidecar struct {
	batch   int64     // bytes
	phase   int       // number of steps since the last batch
	gateway int       // -1: not connected
	until   time.Time // when the connection ends
	retry   time.Time // time of the next attempt, if not connected
	backoff *export.Backoff

	pace     *export.Pace
	received int64
	fresh    int64
	since    time.Time // when the oldest fresh data arrived
	backlog  int64
	oldest   time.Time // when the backlog's oldest data arrived
	holds    int64     // bytes of the backlog to send at holdsTo
	holdsTo  time.Time
	away     bool // has not connected since the outage
}

// fleet holds all sidecars and gateways.
type fleet struct {
	options
	now      time.Time
	random   *rand.Rand
	sidecars []*sidecar
	up       []bool
	conns    []int
	lost     int64
	live     float64 // bytes per second that all sidecars together receive
	arrived  []int64 // bytes that arrived at each gateway in this step
	worst    time.Duration
}

// stretch holds the results for a period of simulated time.
type stretch struct {
	peak, peakOverLive, spread float64
	fresh, drained             time.Duration
	lost                       int64
}

// newFleet returns a fleet at the end of the outage, before the gateways are up again.
func newFleet(o options) *fleet {
	f := &fleet{
		options: o,
		now:     time.Unix(1_800_000_000, 0),
		random:  rand.New(rand.NewPCG(1, 2)),
		up:      make([]bool, o.gateways),
		conns:   make([]int, o.gateways),
		arrived: make([]int64, o.gateways),
	}
	const steady = 6 // number of attempts after which the waits between them no longer grow
	for range o.sidecars {
		s := &sidecar{
			batch: meanBatch/2 + f.random.Int64N(
				meanBatch,
			),
			phase:   f.random.IntN(int(interval / step)),
			gateway: -1,
			pace:    export.NewPace(o.factor),
			backoff: export.NewBackoff(export.Policy{}),
			away:    true,
			oldest:  f.now.Add(-o.outage),
		}
		s.backlog = s.batch * int64(o.outage/interval)
		s.received = s.backlog
		f.live += float64(s.batch) / interval.Seconds()
		for range steady {
			// the outage ends at a random time during a wait
			s.retry = f.now.Add(time.Duration(f.random.Float64() * float64(s.backoff.Next(0))))
		}
		f.drop(s)
		f.sidecars = append(f.sidecars, s)
	}
	return f
}

// drop drops the oldest data of s until what remains fits in its queue.
func (f *fleet) drop(s *sidecar) {
	if over := s.backlog + s.fresh - queueSize; over > 0 {
		f.lost += over
		s.backlog -= over
	}
}

// tick advances the simulation by one step.
func (f *fleet) tick() {
	f.now = f.now.Add(step)
	clear(f.arrived)
	for _, s := range f.sidecars {
		s.phase++
		if s.phase*int(step) >= int(interval) {
			s.phase = 0
			s.put(f.now)
			f.drop(s)
		}
		if s.gateway < 0 && !f.now.Before(s.retry) {
			f.connect(s)
		}
		if s.gateway >= 0 {
			if f.now.After(s.until) {
				f.conns[s.gateway]--
				f.connect(s)
			}
			f.send(s)
		}
	}
}

// put queues a batch from the app.
func (s *sidecar) put(now time.Time) {
	s.received += s.batch
	if s.away {
		s.backlog += s.batch
		return
	}
	if s.fresh == 0 {
		s.since = now
	}
	s.fresh += s.batch
}

// connect connects s to a random gateway that is up, as gRPC does with shuffled addresses. If no
// gateway is up, it schedules a retry.
func (f *fleet) connect(s *sidecar) {
	s.gateway = -1
	for _, g := range f.random.Perm(f.gateways) {
		if f.up[g] {
			s.gateway, s.until, s.away = g, f.now.Add(export.ConnectionLife()), false
			s.backoff = export.NewBackoff(export.Policy{})
			f.conns[g]++
			return
		}
	}
	s.retry = f.now.Add(s.backoff.Next(0))
}

// send sends the fresh data of s, and as much of its backlog as the pace allows.
func (f *fleet) send(s *sidecar) {
	if s.fresh > 0 {
		f.arrived[s.gateway] += s.fresh
		f.worst = max(f.worst, f.now.Sub(s.since))
		s.fresh = 0
	}
	for s.backlog > 0 || s.holds > 0 {
		if s.holds == 0 {
			s.pace.Look(s.received, s.backlog, s.oldest, f.now)
			s.holds = min(s.pace.Share(), s.backlog)
			s.holdsTo = f.now.Add(s.pace.Backlog(s.holds, f.now))
		}
		if s.holdsTo.After(f.now) {
			return
		}
		f.arrived[s.gateway] += s.holds
		age := f.now.Sub(s.oldest)
		s.oldest = s.oldest.Add(time.Duration(float64(age) * float64(s.holds) / float64(s.backlog)))
		s.backlog, s.holds = s.backlog-s.holds, 0
	}
}

// watch runs the simulation until done returns true, and returns the results for the simulated
// period.
func (f *fleet) watch(done func(passed time.Duration) bool) (seen stretch) {
	begin, lost := f.now, f.lost
	sums := make([]int64, f.gateways)
	var all, peak int64
	steps := 0
	f.worst = 0
	for !done(f.now.Sub(begin)) {
		f.tick()
		steps++
		for g, n := range f.arrived {
			sums[g] += n
			all += n
		}
		if steps%window == 0 {
			peak = max(peak, slices.Max(sums))
			clear(sums)
		}
	}
	rate := float64(peak) / (window * step.Seconds())
	seen.peak = rate / (float64(all) / float64(steps) / float64(f.gateways))
	seen.peakOverLive = rate / (f.live / float64(f.gateways))
	seen.fresh, seen.spread, seen.lost = f.worst, f.spread(), f.lost-lost
	return seen
}

// recover brings all gateways up at the same time, and simulates until 99% of the backlog has been
// sent. The delay of fresh data counts from when the gateways are up.
func (f *fleet) recover() stretch {
	for g := range f.up {
		f.up[g] = true
	}
	var total int64
	lost := f.lost // bytes lost during the outage
	for _, s := range f.sidecars {
		total += s.backlog
	}
	var fresh time.Duration
	var took time.Duration
	seen := f.watch(func(passed time.Duration) bool {
		took = passed
		var left int64
		for _, s := range f.sidecars {
			left += s.backlog
			if s.away {
				fresh = passed + interval // includes the time until the next batch
			}
		}
		return left <= total/100
	})
	seen.drained, seen.lost = took, seen.lost+lost
	seen.fresh = max(seen.fresh, fresh)
	return seen
}

// roll restarts one gateway after another.
func (f *fleet) roll() stretch {
	return f.watch(func(passed time.Duration) bool {
		for g := range f.up {
			down := time.Duration(g) * stagger
			up := passed < down || passed >= down+downtime
			if f.up[g] && !up {
				f.disconnect(g)
			}
			f.up[g] = up
		}
		return passed >= time.Duration(f.gateways)*stagger
	})
}

// disconnect breaks the connections of gateway g. Requests in flight fail, and their sidecars wait
// before the next attempt.
func (f *fleet) disconnect(g int) {
	f.conns[g] = 0
	for _, s := range f.sidecars {
		if s.gateway == g {
			s.gateway, s.retry = -1, f.now.Add(s.backoff.Next(0))
		}
	}
}

// settle simulates ten minutes, and returns the spread of connections at the end.
func (f *fleet) settle() float64 {
	return f.watch(func(passed time.Duration) bool { return passed >= 10*time.Minute }).spread
}

// spread returns the largest number of connections of any gateway divided by the smallest.
func (f *fleet) spread() float64 {
	return float64(slices.Max(f.conns)) / float64(max(1, slices.Min(f.conns)))
}
