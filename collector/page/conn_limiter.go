package page

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// connLimiter limits the number of a server's connections. Above the limit, it closes the
// connection that has been idle the longest, so that idle connections cannot lock out clients.
type connLimiter struct {
	limit   int
	refused atomic.Int64 // connections closed because of the limit

	mu   sync.Mutex // guards everything below
	open map[net.Conn]bool
	idle []net.Conn // open connections without a request, the longest idle first
}

// onStateChange is the [http.Server.ConnState] hook.
func (c *connLimiter) onStateChange(conn net.Conn, state http.ConnState) {
	if out := c.track(conn, state); out != nil {
		c.refused.Add(1)
		_ = out.Close() // the server's pending read fails
	}
}

// track records that conn is now in the given state. It returns the connection to close if there
// are too many, and nil otherwise.
func (c *connLimiter) track(conn net.Conn, state http.ConnState) (out net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateNew {
		c.open[conn] = true
	} else if !c.open[conn] {
		return nil // already closed
	}
	c.idle = slices.DeleteFunc(c.idle, func(one net.Conn) bool { return one == conn })
	switch state {
	case http.StateNew, http.StateIdle:
		c.idle = append(c.idle, conn)
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	case http.StateActive:
	}
	if len(c.open) <= c.limit || len(c.idle) == 0 {
		return nil
	}
	out, c.idle = c.idle[0], c.idle[1:]
	delete(c.open, out)
	return out
}
