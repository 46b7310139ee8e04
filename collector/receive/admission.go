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
// Above the limit, only the connection that holds the pass is read. Requests then complete one
// after the other, and no request is refused because many arrived at the same time. The connection
// gives up the pass when one of its requests is complete. If that does not happen within
// [passTime], the connection's incomplete requests are considered stalled: they are canceled, and
// the connection loses the pass.
type gate struct {
	limits

	held       atomic.Int64 // bytes
	completed  atomic.Int64 // bytes of complete requests that are waiting to be accepted
	waiting    [4]atomic.Int64
	waitingSum atomic.Int64 // the sum of waiting

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
		g.notify()
	}
}

// notify wakes all callers of wait and admit. Caller must hold mu.
func (g *gate) notify() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// releasePass makes the pass available to other connections if c holds it.
func (g *gate) releasePass(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pass == c {
		g.pass = nil
		g.notify()
	}
}

// wait waits until c may be read. It returns false if that takes too long or c is closed. A
// connection without an incomplete request may always be read: otherwise its client could not begin
// a request, and the pass would be unused while the client waits for a response.
func (g *gate) wait(c *conn) bool {
	if g.held.Load() <= g.arriving || !c.receiving() {
		return true
	}
	timeout := time.NewTimer(g.read)
	defer timeout.Stop()
	for {
		may, changed, stalled := g.mayRead(c)
		if stalled != nil {
			stalled.cancelIncomplete()
		}
		if may {
			return true
		}
		poll := time.NewTimer(passTime / 4) // the holder of the pass may have stalled
		select {
		case <-changed:
		case <-poll.C:
		case <-c.closed:
			poll.Stop()
			return false
		case <-timeout.C:
			poll.Stop()
			return false
		}
		poll.Stop()
	}
}

// mayRead reports whether c may be read now. If not, changed is closed when c may try again.
// stalled is the connection that lost the pass because it stalled, or nil if there is none.
func (g *gate) mayRead(c *conn) (may bool, changed <-chan struct{}, stalled *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held.Load() <= g.arriving {
		g.pass = nil
		return true, nil, nil
	}
	if g.pass != nil && time.Since(g.since) > passTime {
		stalled, g.pass = g.pass, nil
	}
	room := g.held.Load()-g.waitingSum.Load() < g.arriving+int64(g.message)/4 && g.completed.Load() < int64(g.message)/2
	if g.pass == nil && stalled != c && room {
		g.pass, g.since = c, time.Now()
	}
	return g.pass == c, g.changed, stalled
}

// admitTimeout is how long a request waits if too many requests of its signal are already being
// accepted. While the queue has room, accepting a request takes less time than that.
const admitTimeout = time.Second

// admit counts a complete request of size bytes until the caller calls done. If too many requests
// of signal are already being accepted, admit waits briefly and then refuses, so that one signal
// cannot keep out the other signals.
func (g *gate) admit(ctx context.Context, signal otlp.Signal, size int) (done func(), refusal *Refusal) {
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	for {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		if done, refusal = g.tryAdmit(signal, size); refusal == nil {
			return done, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, refusal
		}
	}
}

func (g *gate) tryAdmit(signal otlp.Signal, size int) (done func(), refusal *Refusal) {
	n := int64(size)
	own, all := g.waiting[signal].Add(n), g.waitingSum.Add(n)
	if own > g.limits.waiting && (own > n || all > max(g.arriving, n)) {
		g.waiting[signal].Add(-n)
		g.waitingSum.Add(-n)
		return nil, &Refusal{
			Reason:     Full,
			RetryAfter: retryDelay,
			Message:    fmt.Sprintf("%d bytes of %s are already waiting to be queued", g.limits.waiting, signal),
		}
	}
	g.add(n)
	return func() {
		g.waiting[signal].Add(-n)
		g.waitingSum.Add(-n)
		g.add(-n)
	}, nil
}

// rate limits the number of points accepted per second. A request of n points delays later requests
// by n × perPoint, less any unused time (see burst). Unlike with a token bucket, a request with
// more points than one second allows is admitted: it only delays later ones, so that the rate is
// exact in the long run.
type rate struct {
	mu       sync.Mutex
	perPoint time.Duration // time used up by a point; 0: no limit
	paidAt   time.Time     // when the time used up so far ends
}

// burst is how much unused time may be carried over to later requests.
const burst = time.Second

// admit returns 0 if the points are admitted. Otherwise it returns how long to wait.
func (r *rate) admit(now time.Time, points int64) (wait time.Duration) {
	if r.perPoint == 0 {
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
	r.paidAt = r.paidAt.Add(time.Duration(points) * r.perPoint)
	return 0
}
