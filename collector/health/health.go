// Package health answers /healthz and /readyz over HTTP.
package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Check returns nil if all is well, else what is wrong in one line.
type Check func() error

// Server answers on one address until it is closed.
type Server struct {
	http *http.Server
	addr net.Addr
}

// Listen starts to answer on address: /healthz by live, which says whether the process should be restarted, and /readyz by ready,
// which says whether points leave. Both answer 200 or 503 with the reason.
func Listen(ctx context.Context, address string, live, ready Check) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--health-address: expected an address that is free: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", handler(live))
	mux.HandleFunc("GET /readyz", handler(ready))
	s := &Server{
		http: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 1 << 14},
		addr: listener.Addr(),
	}
	go func() { _ = s.http.Serve(listener) }() // ends with Close
	return s, nil
}

// Addr returns the address that it listens on.
func (s *Server) Addr() net.Addr { return s.addr }

// Close stops listening and ends every connection.
func (s *Server) Close() error {
	err := s.http.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func handler(check Check) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}
