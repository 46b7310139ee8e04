// Package page serves what [live.Live] knows over HTTP: a page for people, JSON under /api for
// programs, and /metrics for Prometheus.
//
// It is read-only and has no authentication, so that it listens on loopback by default. A request
// must ask for an address, localhost or a name of [Config.Hosts], and come from a page of the same
// origin or from none: else a web site could read it through its visitor's browser (DNS rebinding).
// Names of pools are untrusted: the page puts them into text and nowhere else, and its
// Content-Security-Policy allows no script but its own files.
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

// Config says where to serve and for whom.
type Config struct {
	Address string
	Hosts   []string // names to be asked for, besides localhost and addresses
	Live    *live.Live
}

const (
	mostConnections = 64
	mostViewers     = 32 // that are sent every change
	writeTime       = 10 * time.Second
)

// Server serves until it is closed.
type Server struct {
	cfg      Config
	http     *http.Server
	listener net.Listener
	viewers  chan struct{}
	crowd    crowd
	closing  context.CancelFunc
	shared   shared
}

// Listen begins to serve. Its error is that of the address.
func Listen(ctx context.Context, cfg Config) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("--page-address: expected an address that is free: %w", err)
	}
	serving, cancel := context.WithCancel(context.Background())
	s := &Server{cfg: cfg, listener: l, viewers: make(chan struct{}, mostViewers), closing: cancel}
	s.crowd.most, s.crowd.open = mostConnections, map[net.Conn]bool{}
	s.shared.live = cfg.Live
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      writeTime, // streams extend it before each event
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
		BaseContext:       func(net.Listener) context.Context { return serving },
		ConnState:         s.crowd.change,
	}
	go func() { _ = s.http.Serve(l) }() // ends with Close
	return s, nil
}

// Addr returns the address that it listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Observe reports the connections that were closed because there were too many, at every collection
// of the meter's provider.
func (s *Server) Observe(meter metric.Meter) error {
	observed, err := instruments.NewObservables(meter, catalog.PageRefused)
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		observed.Int(o, catalog.PageRefused, s.crowd.refused.Load())
		return nil
	}, observed.All...)
	return err
}

// Close stops listening and ends every connection.
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
