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

// LimitedListener is a listener whose connections are reported, and limited if it has a limit.
type LimitedListener struct {
	net.Listener
	reg   *instrument.Registration
	limit int64 // 0 is none

	rec       measure.Recorder // its lock guards what follows
	accepting int64            // calls of Accept that have a slot and no connection yet, if there is a limit
	freed     sync.Cond        // a slot was, or the listener was closed
	closed    bool
}

var tlsListener = reflect.TypeOf(tls.NewListener(nil, nil))

// Listener returns a listener of the connections of l, for [net/http.Server.Serve] or any other
// server. With a limit above 0 at most so many connections are open, and Accept waits while they
// are, like that of golang.org/x/net/netutil.LimitListener; 0 is no limit. It reports
//
//   - the limit,
//   - connections accepted, open (used) and closed (completed), and how long each was open, be it
//     active or idle: a listener does not know. Lending a connection to a handler for longer
//     (http.Hijacker) is part of it.
//
// TLS goes around it, as ServeTLS and [tls.NewListener] have it: net/http looks for the type of a
// TLS connection, so that a listener of those is refused.
//
// On Linux, of a *net.TCPListener, it also reports how many connections wait to be accepted
// (pending) and how many may (its limit): as far as those clients know, they are connected. How
// long each waits the kernel does not say.
//
// A *net.TCPConn or *net.UnixConn keeps all its methods, so that sendfile and half-closing work as
// without, and NetConn of a connection returns it, as that of [tls.Conn] does. Closing the listener
// ends the report; open connections work on.
func Listener(name string, l net.Listener, limit int, opts ...instrument.Option) (*LimitedListener, error) {
	if l == nil {
		return nil, fmt.Errorf("listener %q: nil: want a listener", name)
	}
	if reflect.TypeOf(l) == tlsListener {
		return nil, fmt.Errorf(
			"listener %q: a listener of TLS, whose connections net/http must see bare: wrap the one below, and give that to tls.NewListener",
			name,
		)
	}
	if limit < 0 {
		return nil, fmt.Errorf("listener %q: limit %d: want 1 or more connections, or 0 for no limit", name, limit)
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
	if l.limit > 0 && !l.take() {
		return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.giveBack()
		return nil, err
	}
	return l.lend(c), nil
}

// take takes a slot, and waits until one is free. It reports false if the listener is closed
// before.
func (l *LimitedListener) take() bool {
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

// giveBack gives back the slot of an Accept that failed.
func (l *LimitedListener) giveBack() {
	if l.limit == 0 {
		return
	}
	l.rec.Lock()
	l.accepting--
	l.rec.Unlock()
	l.freed.Signal()
}

// Close closes the listener and ends the report.
func (l *LimitedListener) Close() error {
	l.rec.Lock()
	l.closed = true
	l.rec.Unlock()
	l.freed.Broadcast()
	l.rec.Close()
	l.reg.Close()
	return l.Listener.Close()
}

// lend counts a connection, until it is closed.
func (l *LimitedListener) lend(c net.Conn) net.Conn {
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

// lease is the slot of one connection, until it is closed for the first time.
type lease struct {
	l     *LimitedListener
	use   measure.Use
	ended bool // guarded by the lock of l
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

// Stats returns the state of the connections and what happened so far.
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

// NetConn returns the connection of the listener below.
func (c *tcpConn) NetConn() net.Conn { return c.TCPConn }

// Close closes the connection and gives its slot back.
func (c *tcpConn) Close() error {
	defer c.slot.end()
	return c.TCPConn.Close()
}

type unixConn struct {
	*net.UnixConn
	slot lease
}

// NetConn returns the connection of the listener below.
func (c *unixConn) NetConn() net.Conn { return c.UnixConn }

// Close closes the connection and gives its slot back.
func (c *unixConn) Close() error {
	defer c.slot.end()
	return c.UnixConn.Close()
}

type conn struct {
	net.Conn
	slot lease
}

// NetConn returns the connection of the listener below.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Close closes the connection and gives its slot back.
func (c *conn) Close() error {
	defer c.slot.end()
	return c.Conn.Close()
}
