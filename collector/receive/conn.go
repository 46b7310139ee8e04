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

// errStalled is the cancellation cause of a request that arrives too slowly.
var errStalled = errors.New("the request did not arrive in time")

// connections is a listener that limits the number of its open connections. Above the limit, it
// closes the connection that has been without a complete request for the longest time. It spares
// connections with a request that is being accepted.
type connections struct {
	net.Listener

	gate    *gate
	limit   int
	name    string
	log     *slog.Logger
	evicted *atomic.Int64 // connections closed to make room for others

	secured bool // whether clients must use TLS

	mu     sync.Mutex // guards everything below
	open   map[*conn]struct{}
	logged time.Time // when the limit was last logged
}

// accept returns the next connection. If there are too many, it closes one of them.
func (l *connections) accept() (*conn, error) {
	accepted, err := l.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: accepted, listener: l, closed: make(chan struct{}), opened: time.Now().UnixNano()}
	if victim := l.add(c); victim != nil {
		l.evicted.Add(1)
		_ = victim.Close()
	}
	return c, nil
}

// add registers c. If there are then too many connections, it returns the one to close, which may
// be c itself.
func (l *connections) add(c *conn) (victim *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = struct{}{}
	if len(l.open) <= l.limit {
		return nil
	}
	victim = c
	lowest := int64(math.MaxInt64)
	for other := range l.open {
		if worth := other.worth(); other != c && other.accepting.Load() == 0 && worth < lowest {
			victim, lowest = other, worth
		}
	}
	delete(l.open, victim)
	if time.Since(l.logged) > time.Minute {
		l.logged = time.Now()
		l.log.Warn(
			"too many connections: closing the one idle the longest, or the new one if none is idle",
			"receiver",
			l.name,
			"limit",
			l.limit,
		)
	}
	return victim
}

func (l *connections) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// closeAll closes every connection, including those on which no data has arrived yet. A gRPC server
// would wait for the latter.
func (l *connections) closeAll() {
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

	listener    *connections
	first       []byte // bytes that were read to detect the protocol, but not yet by the server
	once        sync.Once
	closed      chan struct{} // closed when the connection is closed
	opened      int64         // when it was accepted, in Unix ns
	lastRequest atomic.Int64  // time of the last complete request in Unix ns; 0 if there was none
	accepting   atomic.Int64  // complete requests without a response yet

	mu         sync.Mutex // guards everything below
	incomplete map[*arrival]struct{}
	pending    int64 // number of bytes counted by the gate
}

// merit is how much longer a connection is kept after a complete request than a connection that
// never had one.
const merit = 10 * time.Second

// worth ranks connections: the one with the lowest worth is closed first.
func (c *conn) worth() int64 {
	if last := c.lastRequest.Load(); last > 0 {
		return last + int64(merit)
	}
	return c.opened
}

// arrival is a request that is being received, or is complete but still in memory.
type arrival struct {
	conn   *conn
	cancel func(error)
	timer  *time.Timer
	kept   int64 // bytes that still count after the request is complete
}

// begin records that a request has begun to arrive on c. If the request is not complete in time,
// cancel is called.
func (c *conn) begin(cancel func(error)) *arrival {
	a := &arrival{conn: c, cancel: cancel}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.incomplete == nil {
		c.incomplete = make(map[*arrival]struct{})
	}
	c.incomplete[a] = struct{}{}
	a.timer = time.AfterFunc(c.listener.gate.read, func() {
		cancel(errStalled)
		a.abandon()
	})
	return a
}

// remove removes a from the incomplete requests of its connection. It returns how many of the bytes
// counted for the connection belong to a: at most size, or all of them if no other request is
// arriving. It returns false if a is not incomplete.
func (a *arrival) remove(size int64) (own int64, ok bool) {
	c := a.conn
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

// abandon discards the incomplete request. Further calls do nothing.
func (a *arrival) abandon() {
	if a == nil {
		return
	}
	if own, ok := a.remove(0); ok {
		a.conn.listener.gate.add(-own)
		a.conn.listener.gate.releasePass(a.conn)
	}
}

// complete marks the request, which has size bytes, as complete. Its bytes count until
// [arrival.release] is called. The caller must call answered when the response has been sent.
func (a *arrival) complete(size int) (answered func()) {
	if a == nil {
		return func() {}
	}
	a.kept, _ = a.remove(int64(size))
	a.conn.listener.gate.completed.Add(a.kept)
	a.conn.listener.gate.releasePass(a.conn)
	a.conn.lastRequest.Store(time.Now().UnixNano())
	a.conn.accepting.Add(1)
	return func() {
		a.release()
		a.conn.accepting.Add(-1)
	}
}

// release records that the complete request is no longer in memory. Further calls do nothing.
func (a *arrival) release() {
	if a != nil {
		a.conn.listener.gate.completed.Add(-a.kept)
		a.conn.listener.gate.add(-a.kept)
		a.kept = 0
	}
}

// receiving reports whether any request on c is incomplete.
func (c *conn) receiving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.incomplete) > 0
}

// cancelIncomplete cancels all incomplete requests.
func (c *conn) cancelIncomplete() {
	c.mu.Lock()
	var all []*arrival
	for a := range c.incomplete {
		all = append(all, a)
	}
	c.mu.Unlock()
	for _, a := range all {
		a.cancel(errStalled)
		a.abandon()
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
	if !c.listener.gate.wait(c) {
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
		c.listener.gate.add(int64(n))
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.listener.remove(c)
		c.mu.Lock()
		pending := c.pending
		c.pending, c.incomplete = 0, nil
		c.mu.Unlock()
		c.listener.gate.add(-pending)
		c.listener.gate.releasePass(c)
	})
	return c.Conn.Close()
}

// RemoteAddr implements net.Conn. The address contains c, because gRPC handlers have no other
// access to the connection.
func (c *conn) RemoteAddr() net.Addr { return remote{c.Conn.RemoteAddr(), c} }

// remote is the address of a client, and the client's connection.
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
