// Package page serves the picture of [live.Live] over HTTP: a page for people, JSON under /api for
// programs, and /metrics for Prometheus.
//
// The server is read-only and has no authentication, so it listens on loopback by default. With DNS
// rebinding, a web site could read the page through a visitor's browser. To prevent that, the Host
// header of a request must be an IP address, localhost or one of [Config.Hosts], and the request
// must come from the same origin, from no page at all, or from a link to the page. Pool names are
// untrusted: the page inserts them only as text, and its Content-Security-Policy allows no scripts
// but its own.
package page

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/collector/live"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// Config configures a [Server].
type Config struct {
	Address string
	Hosts   []string // allowed host names, besides localhost and IP addresses
	Live    *live.Live
}

const (
	maxConnections = 64
	maxViewers     = 32 // clients of /api/v1/changes
	writeTimeout   = 10 * time.Second
)

// Server serves the page until it is closed.
type Server struct {
	cfg      Config
	http     *http.Server
	listener net.Listener
	viewers  chan struct{}
	conns    connLimiter
	closing  context.CancelFunc
	shared   shared
}

// Listen starts a server. It returns an error if it cannot listen on the address.
func Listen(ctx context.Context, cfg Config) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("--page-address: %w", err)
	}
	serving, cancel := context.WithCancel(context.Background())
	s := &Server{cfg: cfg, listener: l, viewers: make(chan struct{}, maxViewers), closing: cancel}
	s.conns.limit, s.conns.open = maxConnections, map[net.Conn]bool{}
	s.shared.live = cfg.Live
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      writeTimeout, // an event stream extends the deadline before each event
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
		BaseContext:       func(net.Listener) context.Context { return serving },
		ConnState:         s.conns.onStateChange,
	}
	go func() { _ = s.http.Serve(l) }() // returns after Close
	return s, nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Observe registers a metric with meter: the number of connections closed because there were too
// many.
func (s *Server) Observe(meter metric.Meter) error {
	observed, err := instruments.NewObservables(meter, catalog.PageRefused)
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		observed.Int(o, catalog.PageRefused, s.conns.refused.Load())
		return nil
	}, observed.All...)
	return err
}

// Close stops listening and closes every connection.
func (s *Server) Close() error {
	s.closing()
	if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", asset("index.html"))
	mux.HandleFunc(
		"GET /assets/{file}",
		func(w http.ResponseWriter, r *http.Request) { asset(r.PathValue("file"))(w, r) },
	)
	mux.HandleFunc(
		"GET /favicon.ico",
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	)
	mux.HandleFunc("GET /api/v1/picture", s.picture)
	mux.HandleFunc("GET /api/v1/pools/{id}/history", s.history)
	mux.HandleFunc("GET /api/v1/changes", s.changes)
	mux.HandleFunc("GET /metrics", s.metrics)
	return guard(s.cfg.Hosts, mux)
}
