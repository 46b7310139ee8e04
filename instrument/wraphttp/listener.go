package wraphttp

import (
	"crypto/tls"
	"fmt"
	"net"
	"reflect"
	"sync"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// LimitedListener is an instrumented listener that can limit the number of open connections.
type LimitedListener struct {
	net.Listener
	reg   *instrument.Registration
	limit int64 // 0 means none

	rec       measure.Recorder // its lock guards everything below
	accepting int64            // number of calls to Accept that have a slot but no connection yet, if there is a limit
	freed     sync.Cond        // signaled when a slot is freed or the listener is closed
	closed    bool
}

var tlsListener = reflect.TypeOf(tls.NewListener(nil, nil))

// Listener returns an instrumented listener that accepts connections from l, for
// [net/http.Server.Serve] or any other server. If limit is above 0, at most limit connections are
// open at a time; further calls to Accept wait, as with golang.org/x/net/netutil.LimitListener. A
// limit of 0 means no limit. The listener reports
//
//   - the limit,
//   - connections accepted, open (used) and closed (completed), and how long each was open. That
//     includes idle time, since a listener cannot tell active from idle connections. A hijacked
//     connection (http.Hijacker) counts until it is closed.
//
// Wrap l before ServeTLS or [tls.NewListener] adds TLS. Listener returns an error for a TLS
// listener, because net/http recognizes TLS connections by their type, which a wrapper would hide.
//
// On Linux, if l is a *net.TCPListener, the listener also reports how many connections are waiting
// to be accepted (pending) and how many may wait (the pending limit). To their clients, these
// connections are already established. The kernel does not report how long each waits.
//
// Accepted connections keep all methods of *net.TCPConn or *net.UnixConn, so that sendfile and
// half-close work as before. Their NetConn method returns the wrapped connection, as in [tls.Conn].
// Closing the listener stops reporting it; open connections keep working.
func Listener(name string, l net.Listener, limit int, opts ...instrument.Option) (*LimitedListener, error) {
	if l == nil {
		return nil, fmt.Errorf("listener %q: the net.Listener is nil", name)
	}
	if reflect.TypeOf(l) == tlsListener {
		return nil, fmt.Errorf(
			"listener %q: got a TLS listener, expected one without TLS: wrap the underlying listener, and pass the result to tls.NewListener",
			name,
		)
	}
	if limit < 0 {
		return nil, fmt.Errorf("listener %q: limit is %d, expected 1 or more, or 0 for no limit", name, limit)
	}
	w := &LimitedListener{Listener: l, limit: int64(limit)}
	w.rec.Init(instrument.TimingOf(opts...))
	w.freed.L = &w.rec
	var err error
	if w.reg, err = instrument.Observe(name, Kind, w.Stats, opts...); err != nil {
		return nil, err
	}
	return w, nil
}

// Accept implements net.Listener.
func (l *LimitedListener) Accept() (net.Conn, error) {
	if l.limit > 0 && !l.takeSlot() {
		return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.returnSlot()
		return nil, err
	}
	return l.wrap(c), nil
}

// takeSlot waits until a slot is free and takes it. It returns false if the listener is closed
// first.
func (l *LimitedListener) takeSlot() bool {
	l.rec.Lock()
	defer l.rec.Unlock()
	for l.accepting+l.rec.Uses.InUse() >= l.limit && !l.closed {
		l.freed.Wait()
	}
	if l.closed {
		return false
	}
	l.accepting++
	return true
}

// returnSlot returns the slot of an Accept that failed.
func (l *LimitedListener) returnSlot() {
	if l.limit == 0 {
		return
	}
	l.rec.Lock()
	l.accepting--
	l.rec.Unlock()
	l.freed.Signal()
}

// Close closes the listener and stops reporting it.
func (l *LimitedListener) Close() error {
	l.rec.Lock()
	l.closed = true
	l.rec.Unlock()
	l.freed.Broadcast()
	l.rec.Close()
	l.reg.Close()
	return l.Listener.Close()
}

// wrap wraps c so that it counts as used until it is closed.
func (l *LimitedListener) wrap(c net.Conn) net.Conn {
	slot := lease{l: l}
	l.rec.Lock()
	if l.limit > 0 {
		l.accepting--
	}
	slot.use = l.rec.Start()
	l.rec.Unlock()
	switch c := c.(type) {
	case *net.TCPConn:
		return &tcpConn{c, slot}
	case *net.UnixConn:
		return &unixConn{c, slot}
	}
	return &conn{c, slot}
}

// lease is the slot of one connection. The connection's first Close returns the slot.
type lease struct {
	l     *LimitedListener
	use   measure.Use
	ended bool // guarded by the listener's lock
}

func (s *lease) end() {
	l := s.l
	l.rec.Lock()
	first := !s.ended
	if first {
		s.ended = true
		l.rec.End(s.use, instrument.OK)
	}
	l.rec.Unlock()
	if first {
		l.freed.Signal()
	}
}

// Stats returns the current numbers of open and pending connections, and the counts so far.
func (l *LimitedListener) Stats() (s instrument.Stats) {
	if waiting, limit, known := acceptQueue(l.Listener); known {
		s.Pending, s.PendingLimit = instrument.Some(waiting), instrument.Some(limit)
	}
	l.rec.Lock()
	defer l.rec.Unlock()
	if l.limit > 0 {
		s.Limit = instrument.Some(l.limit)
	}
	s.Requests[instrument.Acquired] = instrument.Some(l.rec.Requests.Ended(instrument.Acquired))
	l.rec.ReportUses(&s, measure.Clock(), instrument.OK)
	return s
}

type tcpConn struct {
	*net.TCPConn
	slot lease
}

// NetConn returns the wrapped connection.
func (c *tcpConn) NetConn() net.Conn { return c.TCPConn }

// Close closes the connection and releases its slot.
func (c *tcpConn) Close() error {
	defer c.slot.end()
	return c.TCPConn.Close()
}

type unixConn struct {
	*net.UnixConn
	slot lease
}

// NetConn returns the wrapped connection.
func (c *unixConn) NetConn() net.Conn { return c.UnixConn }

// Close closes the connection and releases its slot.
func (c *unixConn) Close() error {
	defer c.slot.end()
	return c.UnixConn.Close()
}

type conn struct {
	net.Conn
	slot lease
}

// NetConn returns the wrapped connection.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Close closes the connection and releases its slot.
func (c *conn) Close() error {
	defer c.slot.end()
	return c.Conn.Close()
}
