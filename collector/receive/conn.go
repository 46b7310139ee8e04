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

// errStalled is why a request was cut off.
var errStalled = errors.New("the request did not arrive in time")

// connections bounds how many connections a listener has. When there are too many, the one goes
// that has been without a complete request for the longest, unless one is being accepted on it.
type connections struct {
	net.Listener

	gate  *gate
	most  int
	name  string
	log   *slog.Logger
	ended *atomic.Int64 // connections that were closed for others

	secured bool // takes TLS only

	mu   sync.Mutex // guards what follows
	open map[*conn]struct{}
	said time.Time // when the log had a line about it
}

// accept returns the next connection, once there is room for it.
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

// join adds c, and returns what is to be closed for it, which may be itself.
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
		l.log.Warn("too many connections: closing the longest idle", "receiver", l.name, "limit", l.most)
	}
	return victim
}

func (l *connections) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// cut closes every connection, those too on which nothing has been said yet and which a gRPC server
// would wait for.
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

// conn is a connection of a client, whose bytes count while a request on it is incomplete.
type conn struct {
	net.Conn

	of        *connections
	first     []byte // read before the protocol was known, and not by the server yet
	once      sync.Once
	gone      chan struct{} // closed with it
	born      int64         // Unix ns
	useful    atomic.Int64  // Unix ns of its last complete request; 0 before the first
	accepting atomic.Int64  // requests that are complete and not answered

	mu         sync.Mutex // guards what follows
	incomplete map[*arrival]struct{}
	pending    int64 // bytes that count at the gate
}

// merit is for how long a complete request sets a connection above one that never had any.
const merit = 10 * time.Second

// worth orders connections: the one with the least is closed first.
func (c *conn) worth() int64 {
	if useful := c.useful.Load(); useful > 0 {
		return useful + int64(merit)
	}
	return c.born
}

// arrival is a request that is incomplete.
type arrival struct {
	on     *conn
	cancel func(error)
	timer  *time.Timer
	kept   int64 // bytes that count since it is complete
}

// begin notes that a request arrives, which is canceled if it is not complete in time.
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

// leave takes a from what is incomplete, and returns how many of the connection's bytes are its
// own: at most size, or all if nothing else arrives.
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

// end notes that the request was given up. It may be called again.
func (a *arrival) end() {
	if a == nil {
		return
	}
	if own, ok := a.leave(0); ok {
		a.on.of.gate.add(-own)
		a.on.of.gate.leave(a.on)
	}
}

// complete notes that the request is complete, of so many bytes, which count until
// [arrival.release]. The caller calls answered when it is answered.
func (a *arrival) complete(size int) (answered func()) {
	if a == nil {
		return func() {}
	}
	a.kept, _ = a.leave(int64(size))
	a.on.of.gate.leave(a.on)
	a.on.useful.Store(time.Now().UnixNano())
	a.on.accepting.Add(1)
	return func() {
		a.release()
		a.on.accepting.Add(-1)
	}
}

// release notes that what arrived is not in memory any more. It may be called again.
func (a *arrival) release() {
	if a != nil {
		a.on.of.gate.add(-a.kept)
		a.kept = 0
	}
}

// receiving reports whether a request is incomplete.
func (c *conn) receiving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.incomplete) > 0
}

// cutOff cancels what is incomplete.
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

// mostRead is how many bytes may come before they count.
const mostRead = 64 << 10

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
	n, err := c.Conn.Read(b[:min(len(b), mostRead)])
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

// RemoteAddr implements net.Conn. It leads back to the connection, since gRPC tells its handlers no
// more than that.
func (c *conn) RemoteAddr() net.Addr { return remote{c.Conn.RemoteAddr(), c} }

type remote struct {
	net.Addr

	conn *conn
}

// connOf returns the connection below c, which may be one of TLS.
func connOf(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}
