// Package receive takes OTLP from the programs of the pod, over gRPC (TCP, unix socket, memory) and HTTP (protobuf, JSON), with limits
// on what they may use. It does not decode what it takes, and answers OK only for what [Config.Accept] accepted.
//
// A request may have 4 MiB, before and after decompression, and all requests that are being received 16 MiB; a listener has 64
// connections, a gRPC connection 64 concurrent requests.
package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Config says where to listen and who gets what comes. An empty address or path is none.
type Config struct {
	GRPCAddress string // host:port; port 0 is any
	HTTPAddress string
	Socket      string // path of a unix socket for gRPC

	// Accept takes a request of a client, which is told that it was taken if and only if Accept returns nil. The Data of the batch is
	// lent until then: to keep it, copy it, as [otlp.Enrich] does. The context ends when the client gives up. An error means "come back
	// later" unless it is a [Refusal] or wraps [otlp.ErrMalformed]. Accept is called concurrently, never for a request without points.
	Accept func(ctx context.Context, b otlp.Batch) error
	// Own takes requests that come over [Server.Dial], in the same way, but their Data is its to keep. No rate limits them.
	Own func(ctx context.Context, b otlp.Batch) error
	// Refused, if not nil, is told of each request that was answered with an error; points is 0 if they could not be counted, as those of a
	// message that is too large. It is called concurrently and must not block.
	Refused func(signal otlp.Signal, points int64, why *Refusal)

	Rate int64 // points a second to accept from clients; 0: any number
	Log  *slog.Logger
}

// intake is what becomes of a whole request whose data is lent.
type intake func(ctx context.Context, signal otlp.Signal, data []byte) (points int64, refusal *Refusal)

// Server receives until it is shut down.
type Server struct {
	cfg        Config
	memory     memory
	rate       rate
	converting *semaphore.Weighted // from JSON

	grpc, own *grpc.Server
	http      *http.Server
	memoryNet *bufconn.Listener
	grpcAddr  net.Addr
	httpAddr  net.Addr
	serving   sync.WaitGroup
}

// Listen opens the listeners and serves them. It returns an error if one of them cannot be opened.
func Listen(ctx context.Context, cfg Config) (*Server, error) { return listen(ctx, cfg, defaultLimits) }

func listen(ctx context.Context, cfg Config, l limits) (*Server, error) {
	s := &Server{
		cfg:        cfg,
		memory:     memory{limits: l, bytes: semaphore.NewWeighted(l.inFlight)},
		converting: semaphore.NewWeighted(1),
		memoryNet:  bufconn.Listen(64 << 10),
	}
	if cfg.Rate > 0 {
		s.rate.point = time.Second / time.Duration(cfg.Rate)
	}
	s.grpc, s.own = s.newGRPC(s.intake(false)), s.newGRPC(s.intake(true))
	s.http = &http.Server{
		Handler:           s.handler(s.intake(false)),
		ReadHeaderTimeout: min(l.read, 5*time.Second),
		ReadTimeout:       l.read,
		WriteTimeout:      l.read + 10*time.Second,
		IdleTimeout:       3 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	listeners, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	for _, serve := range listeners {
		s.serving.Go(serve)
	}
	return s, nil
}

// endpoint is a place to listen.
type endpoint struct {
	setting, name string // as the user knows it, as the log does
	network, at   string // at is empty where nobody shall listen
	serve         func(net.Listener) error
	addr          *net.Addr // set to where it listens, if not nil
}

func (s *Server) endpoints() []endpoint {
	return []endpoint{
		{"--relay-grpc-address", "OTLP/gRPC", "tcp", s.cfg.GRPCAddress, s.grpc.Serve, &s.grpcAddr},
		{"--relay-socket", "OTLP/gRPC socket", "unix", s.cfg.Socket, s.grpc.Serve, nil},
		{"--relay-http-address", "OTLP/HTTP", "tcp", s.cfg.HTTPAddress, s.http.Serve, &s.httpAddr},
	}
}

// open opens every listener and returns what serves it, or none.
func (s *Server) open(ctx context.Context) (serve []func(), err error) {
	serve = append(serve, func() { s.run("memory", s.memoryNet, s.own.Serve) })
	opened := []net.Listener{s.memoryNet}
	for _, e := range s.endpoints() {
		if e.at == "" {
			continue
		}
		l, err := listenAt(ctx, e.network, e.at)
		if err != nil {
			return nil, s.abandon(opened, fmt.Errorf("%s: expected one that is free: %w", e.setting, err))
		}
		if e.addr != nil {
			*e.addr = l.Addr()
		}
		opened = append(opened, l)
		limited := netutil.LimitListener(l, s.memory.connections)
		serve = append(serve, func() { s.run(e.name, limited, e.serve) })
	}
	return serve, nil
}

func listenAt(ctx context.Context, network, at string) (net.Listener, error) {
	if network == "unix" {
		return listenUnix(ctx, at)
	}
	return new(net.ListenConfig).Listen(ctx, network, at)
}

// abandon closes what was opened, and returns why with what else went wrong.
func (s *Server) abandon(opened []net.Listener, why error) error {
	for _, l := range opened {
		why = errors.Join(why, l.Close())
	}
	s.grpc.Stop()
	s.own.Stop()
	return why
}

func (s *Server) run(name string, l net.Listener, serve func(net.Listener) error) {
	if err := serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
		s.cfg.Log.Error("receiver stopped", "receiver", name, "error", err)
	}
}

// GRPCAddr returns the address of OTLP/gRPC over TCP; nil if there is none.
func (s *Server) GRPCAddr() net.Addr { return s.grpcAddr }

// HTTPAddr returns the address of OTLP/HTTP; nil if there is none.
func (s *Server) HTTPAddr() net.Addr { return s.httpAddr }

// Dial connects to the gRPC server of [Config.Own] within the process. It fits grpc.WithContextDialer, which gives an address: it is ignored.
func (s *Server) Dial(ctx context.Context, _ string) (net.Conn, error) {
	return s.memoryNet.DialContext(ctx)
}

// Shutdown closes the listeners and waits for the requests that are being served. When ctx is done it cuts them off and returns its error.
// Call it once.
func (s *Server) Shutdown(ctx context.Context) error {
	cut := make(chan struct{})
	keep := context.AfterFunc(ctx, func() {
		defer close(cut)
		s.grpc.Stop()
		s.own.Stop()
		_ = s.http.Close()
	})
	var stopping sync.WaitGroup
	stopping.Go(s.grpc.GracefulStop)
	stopping.Go(s.own.GracefulStop)
	stopping.Go(func() { _ = s.http.Shutdown(ctx) })
	stopping.Wait()
	s.serving.Wait()
	if !keep() {
		<-cut
		return fmt.Errorf("OTLP receiver: requests cut off: %w", context.Cause(ctx))
	}
	return nil
}

// intake returns what handles requests of the sidecar itself, or of clients.
func (s *Server) intake(own bool) intake {
	return func(ctx context.Context, signal otlp.Signal, data []byte) (points int64, refusal *Refusal) {
		points, err := otlp.Inspect(signal, data)
		if err != nil {
			return 0, &Refusal{Reason: Malformed, Message: err.Error()}
		}
		if points == 0 {
			return 0, nil
		}
		if own {
			err = s.cfg.Own(ctx, otlp.Batch{Signal: signal, Points: points, Data: bytes.Clone(data)})
		} else {
			err = s.fromClient(ctx, otlp.Batch{Signal: signal, Points: points, Data: data})
		}
		if err != nil {
			return points, refusalOf(ctx, err)
		}
		return points, nil
	}
}

func (s *Server) fromClient(ctx context.Context, b otlp.Batch) error {
	if wait := s.rate.take(time.Now(), b.Points); wait > 0 {
		return &Refusal{Reason: Rate, RetryAfter: wait, Message: fmt.Sprintf("more than %d points a second", s.cfg.Rate)}
	}
	return s.cfg.Accept(ctx, b)
}

func (s *Server) refused(signal otlp.Signal, points int64, why *Refusal) {
	if s.cfg.Refused != nil {
		s.cfg.Refused(signal, points, why)
	}
}
