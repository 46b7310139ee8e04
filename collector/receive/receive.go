// Package receive receives OTLP from the pod's programs, over gRPC (TCP, Unix socket) and HTTP
// (protobuf, JSON). Every listener serves both. Requests are not decoded, and get a success
// response only if [Config.Accept] accepts them.
//
// By default a request may have up to 4 MiB, before and after decompression, and must arrive within
// ten seconds. All requests that are being received share 3 MiB; above that, connections are read
// one at a time. All requests of one signal that wait for the queue share 1.5 MiB. A gRPC
// connection may have 64 concurrent requests. Each listener has at most [Config.Connections]
// connections; above that, it closes the connection that has been idle the longest.
package receive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Config configures a server. An empty address or path means no listener.
type Config struct {
	GRPCAddress string // host:port; port 0 picks a free port
	HTTPAddress string
	Socket      string // path of a Unix socket

	// Enrich returns data, a client's request, usually with more attributes. If data has spare
	// capacity, Enrich owns data, and may build the result in place. Otherwise Enrich must neither
	// modify nor retain data. Errors are treated like those of Accept.
	Enrich func(signal otlp.Signal, data []byte) ([]byte, error)
	// Accept is called with a client's request once it is checked and enriched. The client gets a
	// success response if and only if Accept returns nil. Accept may retain b. The context is done
	// when the client gives up. The client may retry after an error, unless the error is a [Refusal]
	// that says otherwise or wraps [otlp.ErrMalformed]. Accept is called concurrently, but never for a
	// request without points.
	Accept func(ctx context.Context, b otlp.Batch) error
	// Refused, if not nil, is called for each request that got an error response. points is 0 if
	// the points could not be counted, for example because the message was too large. Refused is
	// called concurrently and must not block.
	Refused func(signal otlp.Signal, points int64, why *Refusal)

	Rate        int64 // maximum number of points to accept per second; 0: no limit
	Connections int   // maximum per listener; 0: 256
	RequestSize int   // maximum bytes per request, before and after decompression; 0: 4 MiB
	// TLS, if not nil, makes the TCP listeners require TLS. It is called for each connection, so
	// that a certificate rotated on disk takes effect without a restart.
	TLS func() (*tls.Config, error)
	// Bear, if not nil, is called with a [*ListenError] for each endpoint that cannot be opened. If
	// Bear returns nil, the server continues without that endpoint.
	Bear func(error) error
	Log  *slog.Logger
}

// Server receives OTLP until it is shut down.
type Server struct {
	cfg     Config
	gate    *gate
	rate    rate
	working *semaphore.Weighted // limits the bytes used for processing requests

	grpc             *grpc.Server
	http             *http.Server
	forGRPC, forHTTP *protocolListener
	listeners        []*connections
	hints            *hints
	ending           context.Context // done once Shutdown has begun
	end              context.CancelFunc
	evicted          atomic.Int64 // connections closed to make room for others
	grpcAddr         net.Addr
	httpAddr         net.Addr
	serving          sync.WaitGroup
}

// Listen starts a server for cfg. It returns an error if a listener cannot be opened.
func Listen(ctx context.Context, cfg Config) (*Server, error) { return listen(ctx, cfg, defaultLimits) }

func listen(ctx context.Context, cfg Config, l limits) (*Server, error) {
	if cfg.Connections > 0 {
		l.connections = cfg.Connections
	}
	if cfg.RequestSize > 0 {
		l.message = cfg.RequestSize
	}
	s := &Server{
		cfg:     cfg,
		gate:    newGate(l),
		working: semaphore.NewWeighted(int64(l.message)),
		hints:   newHints(cfg.Log),
		forGRPC: newProtocolListener(),
		forHTTP: newProtocolListener(),
	}
	s.ending, s.end = context.WithCancel(context.WithoutCancel(ctx))
	if cfg.Rate > 0 {
		s.rate.perPoint = time.Second / time.Duration(cfg.Rate)
	}
	s.grpc = s.newGRPC()
	s.http = &http.Server{
		Handler:           s.knownPaths(s.handler()),
		ReadHeaderTimeout: min(l.read, 5*time.Second),
		ReadTimeout:       l.read,
		WriteTimeout:      l.read + 10*time.Second,
		IdleTimeout:       3 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, connOf(c))
		},
	}
	if err := s.open(ctx); err != nil {
		s.end()
		return nil, err
	}
	for _, l := range s.listeners {
		s.serving.Go(func() { s.accept(l) })
	}
	s.serving.Go(func() { s.run("OTLP/gRPC", s.grpc.Serve, s.forGRPC) })
	s.serving.Go(func() { s.run("OTLP/HTTP", s.http.Serve, s.forHTTP) })
	return s, nil
}

// endpoint is an address or path to listen on.
type endpoint struct {
	setting, name string    // the flag that sets the address, and the name in the log
	network, at   string    // at is the address or path; empty: no listener
	addr          *net.Addr // if not nil, set to the actual address
}

func (s *Server) endpoints() []endpoint {
	return []endpoint{
		{"--relay-grpc-address", "OTLP/gRPC", "tcp", s.cfg.GRPCAddress, &s.grpcAddr},
		{"--relay-socket", "OTLP/gRPC socket", "unix", s.cfg.Socket, nil},
		{"--relay-http-address", "OTLP/HTTP", "tcp", s.cfg.HTTPAddress, &s.httpAddr},
	}
}

// open opens all listeners. If one of them cannot be opened, open closes the others and returns an
// error, unless Bear returns nil.
func (s *Server) open(ctx context.Context) error {
	var opened []net.Listener
	for _, e := range s.endpoints() {
		if e.at == "" {
			continue
		}
		l, err := listenAt(ctx, e.network, e.at)
		if err != nil {
			err = &ListenError{Setting: e.setting, Receiver: e.name, Address: e.at, Err: err}
			if s.cfg.Bear != nil {
				err = s.cfg.Bear(err)
			}
			if err != nil {
				return s.abandon(opened, err)
			}
			continue
		}
		if e.addr != nil {
			*e.addr = l.Addr()
		}
		opened = append(opened, l)
		s.listeners = append(s.listeners, &connections{
			Listener: l,
			gate:     s.gate,
			limit:    s.gate.connections,
			name:     e.name,
			log:      s.cfg.Log,
			evicted:  &s.evicted,
			open:     map[*conn]struct{}{},
			secured:  e.network == "tcp" && s.cfg.TLS != nil,
		})
	}
	return nil
}

// ListenError reports that an endpoint could not be opened.
type ListenError struct {
	Setting  string // flag that sets the address
	Receiver string // what the endpoint receives, such as OTLP/gRPC
	Address  string
	Err      error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("%s: %v", e.Setting, e.Err)
}
func (e *ListenError) Unwrap() error { return e.Err }

func listenAt(ctx context.Context, network, at string) (net.Listener, error) {
	if network == "unix" {
		return listenUnix(ctx, at)
	}
	return new(net.ListenConfig).Listen(ctx, network, at)
}

// abandon closes the listeners opened so far. It returns cause, joined with any errors from closing
// them.
func (s *Server) abandon(opened []net.Listener, cause error) error {
	for _, l := range opened {
		cause = errors.Join(cause, l.Close())
	}
	s.grpc.Stop()
	return cause
}

func (s *Server) run(name string, serve func(net.Listener) error, l net.Listener) {
	if err := serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
		s.cfg.Log.Error("receiver stopped", "receiver", name, "error", err)
	}
}

// GRPCAddr returns the address of the OTLP/gRPC TCP listener, or nil if there is none.
func (s *Server) GRPCAddr() net.Addr { return s.grpcAddr }

// HTTPAddr returns the address of the OTLP/HTTP listener, or nil if there is none.
func (s *Server) HTTPAddr() net.Addr { return s.httpAddr }

// Connections returns how many connections are open, and how many have been closed to make room for
// new ones.
func (s *Server) Connections() (open, closed int64) {
	for _, l := range s.listeners {
		open += l.count()
	}
	return open, s.evicted.Load()
}

// Shutdown closes the listeners and waits for requests in flight. If ctx is done first, it aborts
// them and returns an error. It must be called only once.
func (s *Server) Shutdown(ctx context.Context) error {
	aborted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(aborted)
		for _, l := range s.listeners {
			l.closeAll()
		}
		s.grpc.Stop()
		_ = s.http.Close()
	})
	s.end()
	for _, l := range s.listeners {
		_ = l.Close()
	}
	var stopping sync.WaitGroup
	stopping.Go(s.grpc.GracefulStop)
	stopping.Go(func() { _ = s.http.Shutdown(ctx) })
	stopping.Wait()
	s.serving.Wait()
	if !stop() {
		<-aborted
		return fmt.Errorf("OTLP receiver: requests aborted: %w", context.Cause(ctx))
	}
	return nil
}

func (s *Server) refused(signal otlp.Signal, points int64, why *Refusal) {
	if s.cfg.Refused != nil {
		s.cfg.Refused(signal, points, why)
	}
}
