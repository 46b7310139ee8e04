package receive

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// limits bound what clients may use.
type limits struct {
	message  int   // bytes of one request, before and after decompression
	arriving int64 // bytes of all requests that are being received or accepted
	// bytes of the requests of one signal that are being accepted; one may be larger, if the others
	// leave room
	waiting     int64
	connections int           // of each listener
	streams     uint32        // concurrent requests of one gRPC connection
	read        time.Duration // for one request
}

var defaultLimits = limits{
	message: 4 << 20, arriving: 3 << 20, waiting: 3 << 19, connections: 256, streams: 64, read: 10 * time.Second,
}

// passTime is how long one connection may be read while all others wait.
const passTime = time.Second

// gate bounds the bytes of requests in memory. They count as they arrive, by connection: what is
// read while a request is incomplete, and then the request itself until it is accepted or refused.
//
// Above the limit only one connection is read, the one that has the pass: so requests complete one
// after the other, and none is refused because many arrived together. The pass is handed on when a
// request of its connection is complete, or after [passTime]: then the incomplete requests of that
// connection have stalled and are canceled.
type gate struct {
	limits

	held    atomic.Int64 // bytes
	waiting [4]atomic.Int64
	accepts atomic.Int64 // the sum of waiting

	mu      sync.Mutex // guards what follows
	pass    *conn
	since   time.Time
	changed chan struct{} // closed and replaced when there may be room
}

func newGate(l limits) *gate { return &gate{limits: l, changed: make(chan struct{})} }

// add counts n bytes, which may be less than 0.
func (g *gate) add(n int64) {
	if n == 0 {
		return
	}
	if g.held.Add(n); n < 0 {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.turn()
	}
}

// turn wakes all waiters. Caller must hold mu.
func (g *gate) turn() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// leave takes the pass from c.
func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pass == c {
		g.pass = nil
		g.turn()
	}
}

// wait returns true when c may be read, or false when its time is over. A connection without an
// incomplete request may always be read: a request could not begin otherwise, and the pass would be
// idle while the client waits for an answer.
func (g *gate) wait(c *conn) bool {
	if g.held.Load() <= g.arriving || !c.receiving() {
		return true
	}
	over := time.NewTimer(g.read)
	defer over.Stop()
	for {
		may, changed, stalled := g.may(c)
		if stalled != nil {
			stalled.cutOff()
		}
		if may {
			return true
		}
		look := time.NewTimer(passTime / 4) // the holder of the pass may stall
		select {
		case <-changed:
		case <-look.C:
		case <-c.gone:
			look.Stop()
			return false
		case <-over.C:
			look.Stop()
			return false
		}
		look.Stop()
	}
}

// may reports whether c may be read now, and which connection has stalled.
func (g *gate) may(c *conn) (may bool, changed <-chan struct{}, stalled *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held.Load() <= g.arriving {
		g.pass = nil
		return true, nil, nil
	}
	if g.pass != nil && time.Since(g.since) > passTime {
		stalled, g.pass = g.pass, nil
	}
	if g.pass == nil && stalled != c && g.held.Load()-g.accepts.Load() < g.arriving+int64(g.message)/4 {
		g.pass, g.since = c, time.Now()
	}
	return g.pass == c, g.changed, stalled
}

// turnTime is how long a request waits until fewer of its signal are being accepted. When the queue
// has room that takes no longer.
const turnTime = time.Second

// accepting counts a request of size bytes that is complete, until done is called. Those of one
// signal must not keep the others out: when there are too many it waits a moment.
func (g *gate) accepting(ctx context.Context, signal otlp.Signal, size int) (done func(), refusal *Refusal) {
	ctx, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	for {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		if done, refusal = g.tryAccepting(signal, size); refusal == nil {
			return done, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, refusal
		}
	}
}

func (g *gate) tryAccepting(signal otlp.Signal, size int) (done func(), refusal *Refusal) {
	n := int64(size)
	own, all := g.waiting[signal].Add(n), g.accepts.Add(n)
	if own > g.limits.waiting && (own > n || all > max(g.arriving, n)) {
		g.waiting[signal].Add(-n)
		g.accepts.Add(-n)
		return nil, &Refusal{
			Reason:     Full,
			RetryAfter: retryDelay,
			Message:    fmt.Sprintf("requests of %s of %d bytes wait for the queue", signal, g.limits.waiting),
		}
	}
	g.add(n)
	return func() {
		g.waiting[signal].Add(-n)
		g.accepts.Add(-n)
		g.add(-n)
	}, nil
}

// rate limits points a second. A request passes when the ones before are paid for, and is paid for
// afterwards: so one that is larger than a second's worth passes too (a token bucket would
// always refuse it), and in the long run the rate is exact.
type rate struct {
	mu     sync.Mutex
	point  time.Duration // that one point takes; 0: no limit
	paidAt time.Time     // when all that passed is paid for
}

// burst is the time for which unused credit is kept.
const burst = time.Second

// take admits points and returns 0, or returns how long to wait.
func (r *rate) take(now time.Time, points int64) (wait time.Duration) {
	if r.point == 0 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if wait := r.paidAt.Sub(now); wait > 0 {
		return wait
	}
	if credit := now.Add(-burst); r.paidAt.Before(credit) {
		r.paidAt = credit
	}
	r.paidAt = r.paidAt.Add(time.Duration(points) * r.point)
	return 0
}
