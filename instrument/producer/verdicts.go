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

// window is the minimum length of the interval over which pools are judged. If collections are
// further apart, pools are judged over the interval between two collections.
const window = 9 * time.Second

// verdicts judges the pools of the process. It uses the pools' Stats and measurements of the
// process itself: its CPU time, how long its threads wait for a CPU, how many goroutines are
// waiting for a CPU, and how long goroutines wait for locks.
type verdicts struct {
	mu      sync.Mutex           // guards everything below
	last    diagnose.HostFigures // at the start of the current round
	machine diagnose.Machine     // describes the last window
	round   uint64               // number of windows so far
	pools   map[attribute.Distinct]*judgedPool
}

// judgedPool is the state of judging one pool.
type judgedPool struct {
	judge diagnose.Judge
	round uint64 // last round in which the pool was judged
	seen  bool   // the pool was collected in the current round
}

// begin starts a collection, which happens at the given time. It returns the function that judges
// the pools of that collection.
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
		judge := v.update(pool, s, now)
		for verdict, holds := range judge.States() {
			add(verdict, holds)
		}
		if n := judge.Recommends(); n > 0 {
			limit = instrument.Some(int64(n))
		}
		return limit
	}
}

// forget removes the pools that were not collected in the last round. The caller must hold mu.
func (v *verdicts) forget() {
	for key, p := range v.pools {
		if !p.seen {
			delete(v.pools, key)
		}
		p.seen = false
	}
}

// update judges a pool if a judgment is due, and returns the pool's Judge. The caller must hold mu.
func (v *verdicts) update(pool attribute.Set, s *instrument.Stats, now time.Time) *diagnose.Judge {
	p := v.pools[pool.Equivalent()]
	if p == nil {
		p = &judgedPool{}
		v.pools[pool.Equivalent()] = p
	}
	p.seen = true
	if first := p.judge.Seen().IsZero(); first || p.round != v.round && now.Sub(p.judge.Seen()) >= window {
		p.judge.See(diagnose.FiguresOf(s, now), v.machine)
		p.round = v.round
	}
	return &p.judge
}
