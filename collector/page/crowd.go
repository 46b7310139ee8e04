package page

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// crowd bounds the connections of a server. Of one too many, the connection that has been without a
// request for longest is closed, so that silent connections, however many, lock out no client.
type crowd struct {
	most    int
	refused atomic.Int64 // connections that were closed for it

	mu    sync.Mutex // guards what follows
	open  map[net.Conn]bool
	quiet []net.Conn // those of open without a request, the longest first
}

// change is [http.Server.ConnState].
func (c *crowd) change(conn net.Conn, to http.ConnState) {
	if out := c.follow(conn, to); out != nil {
		c.refused.Add(1)
		_ = out.Close() // its handler gets an error
	}
}

// follow notes the state of a connection, and returns one that has to go.
func (c *crowd) follow(conn net.Conn, to http.ConnState) (out net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to == http.StateNew {
		c.open[conn] = true
	} else if !c.open[conn] {
		return nil // which is closed already
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
