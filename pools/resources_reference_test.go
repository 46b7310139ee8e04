package pools_test

import (
	"context"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// resModel is a sequential reference implementation of Resources. Constructors and destructors take
// no time. A resource is named after the request for which it was made.
type resModel struct {
	limit     int
	idle      []string // a stack: the last one is lent next
	since     map[string]time.Duration
	used      map[string]bool // the value is true if the resource must be destroyed when released
	waiting   []*resRequest
	destroyed []string
	outcomes  [5]int64
	ended     map[string]int64
	failed    int64
	maxIdle   time.Duration
	now       time.Duration
}

// resRequest is a call to Acquire or TryAcquire, in the model or in the pool.
type resRequest struct {
	name   string
	bad    bool // its constructor fails
	result string
	cancel context.CancelFunc
	lease  pools.Lease[string]
}

func (m *resModel) alive() int { return len(m.idle) + len(m.used) }

// take gives r a resource if one is idle or can be constructed, and reports whether r has ended.
func (m *resModel) take(r *resRequest) bool {
	switch {
	case len(m.idle) > 0:
		r.result = m.idle[len(m.idle)-1]
		m.idle = m.idle[:len(m.idle)-1]
	case m.alive() >= m.limit:
		return false
	case r.bad:
		m.failed++
		m.outcomes[instrument.Acquired]++
		r.result = "error"
		return true
	default:
		r.result = r.name
		m.since[r.name] = m.now
	}
	m.used[r.result] = false
	m.outcomes[instrument.Acquired]++
	return true
}

// serveWaiters serves waiting requests in order.
func (m *resModel) serveWaiters() {
	for len(m.waiting) > 0 && m.take(m.waiting[0]) {
		m.waiting = m.waiting[1:]
	}
}

func (m *resModel) release(name string, unused bool) {
	stale := m.used[name]
	surplus := m.alive() - m.limit
	delete(m.used, name)
	switch {
	case stale:
		m.end(name, "reset")
	case surplus > 0:
		m.end(name, "shrink")
	default:
		m.idle = append(m.idle, name)
		if !unused {
			m.since[name] = m.now
		}
	}
}

// expire ends resources that have been idle for too long.
func (m *resModel) expire() {
	m.idle = slices.DeleteFunc(m.idle, func(name string) bool {
		old := m.now-m.since[name] >= m.maxIdle
		if old {
			m.end(name, "idle")
		}
		return old
	})
}
