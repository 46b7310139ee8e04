package receive

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// limits bounds the resources that clients may use.
type limits struct {
	message  int   // bytes per request, before and after decompression
	arriving int64 // bytes of all requests that are being received or accepted
	// bytes of one signal's requests that are being accepted; a single request may be larger if
	// other requests leave room
	waiting     int64
	connections int           // per listener
	streams     uint32        // concurrent requests per gRPC connection
	read        time.Duration // time to receive one request
}

var defaultLimits = limits{
	message: 4 << 20, arriving: 3 << 20, waiting: 3 << 19, connections: 256, streams: 64, read: 10 * time.Second,
}

// passTime is how long a single connection may be read while all other connections wait.
const passTime = time.Second

// gate limits how many bytes of requests are in memory. While a connection has an incomplete
// request, the bytes read from it count. Once the request is complete, its size counts until it is
// accepted or refused.
//
// Above the limit, only the connection that holds the pass is read. So requests complete one after
// the other, and no request is refused because many arrived at the same time. The connection gives
// up the pass when one of its requests is complete. If that does not happen within [passTime], the
// connection's incomplete requests have stalled: they are canceled, and the connection loses the
// pass.
type gate struct {
	limits

	held    atomic.Int64 // bytes
	whole   atomic.Int64 // bytes of complete requests that are waiting to be accepted
	waiting [4]atomic.Int64
	accepts atomic.Int64 // the sum of waiting

	mu      sync.Mutex // guards everything below
	pass    *conn
	since   time.Time
	changed chan struct{} // closed and replaced when there may be room
}

func newGate(l limits) *gate { return &gate{limits: l, changed: make(chan struct{})} }

// add adds n, which may be negative, to the number of bytes held.
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

// turn wakes all callers of wait. Caller must hold mu.
func (g *gate) turn() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// leave takes the pass from c if c holds it.
func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pass == c {
		g.pass = nil
		g.turn()
	}
}

// wait waits until c may be read. It returns false if that takes too long or c is closed. If c has
// no incomplete request, it may always be read: otherwise the client could not begin a request, and
// the pass would be unused while the client waits for a response.
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
		look := time.NewTimer(passTime / 4) // the holder of the pass may have stalled
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

// may reports whether c may be read now. It returns the connection that has stalled, if any.
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
	room := g.held.Load()-g.accepts.Load() < g.arriving+int64(g.message)/4 && g.whole.Load() < int64(g.message)/2
	if g.pass == nil && stalled != c && room {
		g.pass, g.since = c, time.Now()
	}
	return g.pass == c, g.changed, stalled
}

// turnTime is how long a request waits if too many requests of its signal are already being
// accepted. While the queue has room, accepting a request takes less time than that.
const turnTime = time.Second

// accepting counts a complete request of size bytes until the caller calls done. If too many
// requests of signal are already being accepted, accepting waits briefly and then refuses, so that
// one signal cannot keep out the other signals.
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
			Message:    fmt.Sprintf("%d bytes of %s are already waiting to be queued", g.limits.waiting, signal),
		}
	}
	g.add(n)
	return func() {
		g.waiting[signal].Add(-n)
		g.accepts.Add(-n)
		g.add(-n)
	}, nil
}

// rate limits the number of points accepted per second. A request of n points delays later requests
// by n × point, less any unused time (see burst). Unlike with a token bucket, a request of more
// points than a second allows is admitted: it only delays later ones, so that the rate is exact in
// the long run.
type rate struct {
	mu     sync.Mutex
	point  time.Duration // time used up by a point; 0: no limit
	paidAt time.Time     // when the time used up so far ends
}

// burst is how much unused time may be carried over to later requests.
const burst = time.Second

// take either admits points and returns 0, or returns how long to wait.
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
