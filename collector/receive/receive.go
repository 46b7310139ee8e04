// Package receive takes OTLP from the app: over gRPC on an address and on a unix socket, over HTTP on an address, and from the sidecar itself
// through memory. A request is checked, counted and handed on as the bytes that it is; the client is answered when it was accepted.
//
// What is over a limit is refused as OTLP's specification says: with a status that lets the client try again, and when, if that may help;
// else with one that does not.
package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Limits that no setting changes.
const (
	LongestRequest = 4 << 20 // bytes, unpacked
	connections    = 128     // of each listener
	streams        = 64      // requests at once on a gRPC connection
	memory         = 16 << 20
)

// Config says where to listen, and what becomes of a request.
type Config struct {
	GRPC, HTTP string // addresses; empty: none
	Socket     string // path of a unix socket for gRPC; empty: none
	Rate       int64  // points a second, taken from the app; 0: no limit

	// Accept takes over a batch of the app, Own one that came through [Server.Dial]. An error of theirs lets the client try again, unless it
	// is a [PermanentError]. They may be called concurrently.
	Accept, Own func(context.Context, otlp.Batch) error
	// Refused is told of points that were not accepted, and why: too_large, malformed, rate, busy, unavailable. They are 0 if nobody counted.
	Refused func(s otlp.Signal, points int64, reason string)
	Log     *slog.Logger
}

// PermanentError is one that would come again, however often the client tries.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return e.Err.Error() }

func (e *PermanentError) Unwrap() error { return e.Err }

// Server listens until it is shut down.
type Server struct {
	grpc   []*grpc.Server // the app's and the own
	http   *http.Server   // nil if there is none
	own    *bufconn.Listener
	addrs  map[string]net.Addr // of the listeners, by scheme
	served sync.WaitGroup
}

// Listen starts to listen. [Server.Shutdown] ends it.
func Listen(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{own: bufconn.Listen(64 << 10), addrs: map[string]net.Addr{}}
	gate := newGate(cfg.Rate)
	app := newGRPC(&intake{gate: gate, accept: cfg.Accept, refused: cfg.Refused})
	own := newGRPC(&intake{gate: newGate(0), accept: cfg.Own, refused: cfg.Refused})
	s.grpc = []*grpc.Server{app, own}
	s.serve(func() error { return own.Serve(s.own) })
	err := errors.Join(
		s.listen(ctx, "--relay-grpc-address", "tcp", cfg.GRPC, app.Serve),
		s.listenSocket(ctx, cfg.Socket, app.Serve),
	)
	if cfg.HTTP != "" {
		s.http = newHTTP(&intake{gate: gate, accept: cfg.Accept, refused: cfg.Refused})
		err = errors.Join(err, s.listen(ctx, "--relay-http-address", "http", cfg.HTTP, s.http.Serve))
	}
	if err != nil {
		_ = s.Shutdown(canceled())
		return nil, err
	}
	for scheme, addr := range s.addrs {
		cfg.Log.Info("taking OTLP", "over", scheme, "address", addr.String())
	}
	return s, nil
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Addr returns where it listens for http, tcp or unix; nil if it does not.
func (s *Server) Addr(scheme string) net.Addr { return s.addrs[scheme] }

// Dial returns a connection through memory, for the sidecar's own points. The caller closes it.
func (s *Server) Dial() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:own", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.own.DialContext(ctx) }))
}

func (s *Server) listen(ctx context.Context, setting, scheme, address string, serve func(net.Listener) error) error {
	if address == "" {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%s: expected an address that is free: %w", setting, err)
	}
	s.start(scheme, l, serve)
	return nil
}

func (s *Server) start(scheme string, l net.Listener, serve func(net.Listener) error) {
	s.addrs[scheme] = l.Addr()
	limited := netutil.LimitListener(l, connections)
	s.serve(func() error { return serve(limited) })
}

func (s *Server) serve(f func() error) {
	s.served.Go(func() { _ = f() }) // ends with Shutdown, and has nothing else to say
}

// Shutdown stops listening, lets requests that are under way finish until ctx is done, then cuts them off.
func (s *Server) Shutdown(ctx context.Context) error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		var all sync.WaitGroup
		for _, server := range s.grpc {
			all.Go(server.GracefulStop)
		}
		if s.http != nil {
			all.Go(func() { _ = s.http.Shutdown(ctx) })
		}
		all.Wait()
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		for _, server := range s.grpc {
			server.Stop()
		}
		if s.http != nil {
			_ = s.http.Close()
		}
		<-stopped
	}
	s.served.Wait()
	return s.own.Close()
}
