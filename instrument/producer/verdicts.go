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

// window is the least time over which pools are judged; it is the interval of collections if that
// is longer.
const window = 9 * time.Second

// verdicts judge the pools of the process by what they say of themselves and what the process knows
// of itself: its CPU time, how long its threads wait for a CPU, its goroutines that do, and its
// locks.
type verdicts struct {
	mu      sync.Mutex // guards everything below
	last    diagnose.HostFigures
	machine diagnose.Machine // of the last window
	round   uint64           // of windows
	pools   map[attribute.Distinct]*judged
}

// judged is a pool that is judged.
type judged struct {
	judge diagnose.Judge
	round uint64 // in which it was judged last
	seen  bool   // in this collection
}

// begin begins a collection, whose judge it returns.
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

// forget drops the pools that were not there during the last window. Caller must hold mu.
func (v *verdicts) forget() {
	for key, p := range v.pools {
		if !p.seen {
			delete(v.pools, key)
		}
		p.seen = false
	}
}

// on judges a pool if it is due, and returns its judge. Caller must hold mu.
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
