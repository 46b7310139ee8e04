package producer

import (
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/ownfigures"
)

// window is the minimum time over which pools are judged. If collections are further apart, pools
// are judged over the interval between two collections.
const window = 9 * time.Second

// verdicts judges the pools of the process. It uses the pools' Stats and measurements of the
// process itself: its CPU time, how long its threads wait for a CPU, how many goroutines wait for a
// CPU, and how long goroutines wait for locks.
type verdicts struct {
	mu      sync.Mutex // guards everything below
	last    diagnose.HostFigures
	machine diagnose.Machine // describes the last window
	round   uint64           // number of windows
	pools   map[attribute.Distinct]*judged
}

// judged holds the judge of one pool.
type judged struct {
	judge diagnose.Judge
	round uint64 // last round in which the pool was judged
	seen  bool   // the pool was seen during this collection
}

// begin starts a collection at the given time, and returns the function that judges its pools.
func (v *verdicts) begin(now time.Time) instrument.Judge {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last.At.IsZero() || now.Sub(v.last.At) >= window {
		host := ownfigures.Read(now)
		v.machine, v.last = diagnose.HostBetween(v.last, host), host
		v.round++
		v.forget()
	}
	return func(
		pool attribute.Set, s *instrument.Stats, add func(verdict fmt.Stringer, holds bool),
	) (limit instrument.Optional[int64]) {
		v.mu.Lock()
		defer v.mu.Unlock()
		judge := v.on(pool, s, now)
		for verdict, holds := range judge.States() {
			add(verdict, holds)
		}
		if n := judge.Recommends(); n > 0 {
			limit = instrument.Some(int64(n))
		}
		return limit
	}
}

// forget drops the pools that were not seen during the last window. The caller must hold mu.
func (v *verdicts) forget() {
	for key, p := range v.pools {
		if !p.seen {
			delete(v.pools, key)
		}
		p.seen = false
	}
}

// on judges a pool if a judgment is due, and returns the pool's Judge. The caller must hold mu.
func (v *verdicts) on(pool attribute.Set, s *instrument.Stats, now time.Time) *diagnose.Judge {
	p := v.pools[pool.Equivalent()]
	if p == nil {
		p = &judged{}
		v.pools[pool.Equivalent()] = p
	}
	p.seen = true
	if first := p.judge.Seen().IsZero(); first || p.round != v.round && now.Sub(p.judge.Seen()) >= window {
		p.judge.See(diagnose.FiguresOf(s, now), v.machine)
		p.round = v.round
	}
	return &p.judge
}
