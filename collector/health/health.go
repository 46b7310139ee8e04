// Package health serves the health checks /healthz and /readyz over HTTP.
package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// Check is a health check. It returns an error if something is wrong. state is additional
// information and may be empty. state and the error's text must each be a single line.
type Check func() (state string, err error)

// Server serves health checks on one address until it is closed.
type Server struct {
	http *http.Server
	addr net.Addr
}

// Listen starts a server on address. /healthz calls live, which fails if the process should be
// restarted, and /readyz calls ready, which fails if data does not reach the upstream. The response
// status is 503 if the check fails, and 200 otherwise. Errors and states may contain addresses, so
// only requests to a loopback address receive them.
func Listen(ctx context.Context, address string, live, ready Check) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--health-address: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", handler(live))
	mux.HandleFunc("GET /readyz", handler(ready))
	s := &Server{
		http: &http.Server{
			Handler:           mux,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       5 * time.Second,
			WriteTimeout:      5 * time.Second,
			MaxHeaderBytes:    1 << 14,
			ErrorLog:          log.New(io.Discard, "", 0),
		},
		addr: listener.Addr(),
	}
	go func() { _ = s.http.Serve(listener) }() // returns after Close
	return s, nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.addr }

// Close stops listening and closes every connection.
func (s *Server) Close() error {
	err := s.http.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func handler(check Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		state, err := check()
		verdict := "ok"
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			verdict = err.Error()
		}
		if !onLoopback(r) {
			state = ""
			if err != nil {
				verdict = "not ok: see the log for the reason, or request this page at 127.0.0.1"
			}
		}
		fmt.Fprintln(w, verdict)
		if state != "" {
			fmt.Fprintln(w, state)
		}
	}
}

// onLoopback reports whether r was sent to a loopback address.
func onLoopback(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}
