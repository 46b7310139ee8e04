package receive

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"math"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// errStalled is the cause for canceling a request that arrives too slowly.
var errStalled = errors.New("the request did not arrive in time")

// connections is a listener that limits the number of its open connections. Above the limit, it
// closes the connection that has gone longest without a complete request. It spares connections
// with a request that is being accepted.
type connections struct {
	net.Listener

	gate  *gate
	most  int
	name  string
	log   *slog.Logger
	ended *atomic.Int64 // connections closed to make room for others

	secured bool // requires TLS

	mu   sync.Mutex // guards everything below
	open map[*conn]struct{}
	said time.Time // when the limit was last logged
}

// accept returns the next connection. If there are too many, it closes one of them.
func (l *connections) accept() (*conn, error) {
	accepted, err := l.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: accepted, of: l, gone: make(chan struct{}), born: time.Now().UnixNano()}
	if victim := l.join(c); victim != nil {
		l.ended.Add(1)
		_ = victim.Close()
	}
	return c, nil
}

// join adds c. If that is one connection too many, it returns the connection to close, which may be
// c itself.
func (l *connections) join(c *conn) (victim *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = struct{}{}
	if len(l.open) <= l.most {
		return nil
	}
	victim = c
	least := int64(math.MaxInt64)
	for other := range l.open {
		if worth := other.worth(); other != c && other.accepting.Load() == 0 && worth < least {
			victim, least = other, worth
		}
	}
	delete(l.open, victim)
	if time.Since(l.said) > time.Minute {
		l.said = time.Now()
		l.log.Warn(
			"too many connections: closing the one idle the longest, or the new one if none is idle",
			"receiver",
			l.name,
			"limit",
			l.most,
		)
	}
	return victim
}

func (l *connections) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// cut closes every connection. This includes connections on which no data has arrived yet, for
// which a gRPC server would wait.
func (l *connections) cut() {
	l.mu.Lock()
	all := slices.Collect(maps.Keys(l.open))
	l.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

func (l *connections) count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.open))
}

// conn is a client's connection. The bytes read from it count toward the gate's limit while one of
// its requests is incomplete.
type conn struct {
	net.Conn

	of        *connections
	first     []byte // bytes read to detect the protocol, which the server has not read yet
	once      sync.Once
	gone      chan struct{} // closed when the connection is closed
	born      int64         // Unix ns
	useful    atomic.Int64  // time of the last complete request in Unix ns; 0 if there was none
	accepting atomic.Int64  // complete requests without a response yet

	mu         sync.Mutex // guards everything below
	incomplete map[*arrival]struct{}
	pending    int64 // number of bytes counted by the gate
}

// merit is how much longer a connection is kept if it has had a complete request.
const merit = 10 * time.Second

// worth ranks connections: the one with the lowest worth is closed first.
func (c *conn) worth() int64 {
	if useful := c.useful.Load(); useful > 0 {
		return useful + int64(merit)
	}
	return c.born
}

// arrival is an incomplete request.
type arrival struct {
	on     *conn
	cancel func(error)
	timer  *time.Timer
	kept   int64 // bytes that still count after the request is complete
}

// begin records that a request begins to arrive on c. If the request is not complete in time,
// cancel is called.
func (c *conn) begin(cancel func(error)) *arrival {
	a := &arrival{on: c, cancel: cancel}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.incomplete == nil {
		c.incomplete = make(map[*arrival]struct{})
	}
	c.incomplete[a] = struct{}{}
	a.timer = time.AfterFunc(c.of.gate.read, func() {
		cancel(errStalled)
		a.end()
	})
	return a
}

// leave removes a from the incomplete requests. It returns how many of the bytes counted for the
// connection belong to a: at most size, or all of them if no other request is arriving.
func (a *arrival) leave(size int64) (own int64, ok bool) {
	c := a.on
	a.timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.incomplete[a]; !ok {
		return 0, false
	}
	delete(c.incomplete, a)
	own = min(c.pending, size)
	if len(c.incomplete) == 0 {
		own = c.pending
	}
	c.pending -= own
	return own, true
}

// end abandons the request. Further calls do nothing.
func (a *arrival) end() {
	if a == nil {
		return
	}
	if own, ok := a.leave(0); ok {
		a.on.of.gate.add(-own)
		a.on.of.gate.leave(a.on)
	}
}

// complete marks the request, which has size bytes, as complete. Its bytes count until
// [arrival.release]. The caller must call answered when the response has been sent.
func (a *arrival) complete(size int) (answered func()) {
	if a == nil {
		return func() {}
	}
	a.kept, _ = a.leave(int64(size))
	a.on.of.gate.whole.Add(a.kept)
	a.on.of.gate.leave(a.on)
	a.on.useful.Store(time.Now().UnixNano())
	a.on.accepting.Add(1)
	return func() {
		a.release()
		a.on.accepting.Add(-1)
	}
}

// release records that the complete request is no longer in memory. Further calls do nothing.
func (a *arrival) release() {
	if a != nil {
		a.on.of.gate.whole.Add(-a.kept)
		a.on.of.gate.add(-a.kept)
		a.kept = 0
	}
}

// receiving reports whether any request on c is incomplete.
func (c *conn) receiving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.incomplete) > 0
}

// cutOff cancels all incomplete requests.
func (c *conn) cutOff() {
	c.mu.Lock()
	var all []*arrival
	for a := range c.incomplete {
		all = append(all, a)
	}
	c.mu.Unlock()
	for _, a := range all {
		a.cancel(errStalled)
		a.end()
	}
}

// maxRead is the maximum number of bytes in one read; bytes are counted after each read.
const maxRead = 64 << 10

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	if !c.of.gate.wait(c) {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.Conn.Read(b[:min(len(b), maxRead)])
	c.mu.Lock()
	counts := len(c.incomplete) > 0
	if counts {
		c.pending += int64(n)
	}
	c.mu.Unlock()
	if counts && n > 0 {
		c.of.gate.add(int64(n))
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.gone)
		c.of.leave(c)
		c.mu.Lock()
		given := c.pending
		c.pending, c.incomplete = 0, nil
		c.mu.Unlock()
		c.of.gate.add(-given)
		c.of.gate.leave(c)
	})
	return c.Conn.Close()
}

// RemoteAddr implements net.Conn. The address contains c, because gRPC handlers have no other
// access to the connection.
func (c *conn) RemoteAddr() net.Addr { return remote{c.Conn.RemoteAddr(), c} }

type remote struct {
	net.Addr

	conn *conn
}

// connOf returns the connection underlying c, which may be a TLS connection.
func connOf(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}
