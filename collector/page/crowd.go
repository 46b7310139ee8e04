package page

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// crowd limits the number of a server's connections. Above the limit, it closes the connection that
// has been idle the longest, so that idle connections cannot lock out clients.
type crowd struct {
	most    int
	refused atomic.Int64 // connections closed because of the limit

	mu    sync.Mutex // guards everything below
	open  map[net.Conn]bool
	quiet []net.Conn // open connections without a request, longest idle first
}

// change is the [http.Server.ConnState] hook.
func (c *crowd) change(conn net.Conn, to http.ConnState) {
	if out := c.follow(conn, to); out != nil {
		c.refused.Add(1)
		_ = out.Close() // the server's pending read fails
	}
}

// follow records that conn is now in the given state. It returns the connection to close if there
// are too many, and nil otherwise.
func (c *crowd) follow(conn net.Conn, to http.ConnState) (out net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to == http.StateNew {
		c.open[conn] = true
	} else if !c.open[conn] {
		return nil // already closed
	}
	c.quiet = slices.DeleteFunc(c.quiet, func(one net.Conn) bool { return one == conn })
	switch to {
	case http.StateNew, http.StateIdle:
		c.quiet = append(c.quiet, conn)
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	case http.StateActive:
	}
	if len(c.open) <= c.most || len(c.quiet) == 0 {
		return nil
	}
	out, c.quiet = c.quiet[0], c.quiet[1:]
	delete(c.open, out)
	return out
}
