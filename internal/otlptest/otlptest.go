// Package otlptest provides an OTLP/gRPC metrics receiver for tests and benchmarks. The receiver
// calls a function for each request, and [Points] yields a request's points in a flat form.
package otlptest

import (
	"context"
	"fmt"
	"net"
	"strings"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // for exporters that compress requests
)

// Request is an OTLP metrics export request.
type Request = colmetricpb.ExportMetricsServiceRequest

// Response is the response to a [Request].
type Response = colmetricpb.ExportMetricsServiceResponse

// Handler handles one export. Calls may be concurrent; ctx carries the request's metadata and is
// canceled at the end of the call.
type Handler func(ctx context.Context, r *Request) (*Response, error)

// Receiver is a running OTLP/gRPC metrics service. The caller must close it.
type Receiver struct {
	Addr   string // host:port, or the path of the socket
	server *grpc.Server
	served chan struct{}
}

// Start listens on addr, such as "127.0.0.1:0" or "unix:/path", and calls h for every export.
func Start(addr string, h Handler, opts ...grpc.ServerOption) (*Receiver, error) {
	network := "tcp"
	if path, isUnix := strings.CutPrefix(addr, "unix:"); isUnix {
		network, addr = "unix", path
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), network, addr)
	if err != nil {
		return nil, fmt.Errorf("start OTLP receiver: %w", err)
	}
	r := &Receiver{Addr: l.Addr().String(), server: grpc.NewServer(opts...), served: make(chan struct{})}
	colmetricpb.RegisterMetricsServiceServer(r.server, service{handler: h})
	go func() {
		defer close(r.served)
		_ = r.server.Serve(l) // returns after Close
	}()
	return r, nil
}

// Close stops the receiver, cancels open calls and waits for its goroutines.
func (r *Receiver) Close() {
	r.server.Stop()
	<-r.served
}

type service struct {
	colmetricpb.UnimplementedMetricsServiceServer
	handler Handler
}

// Export implements colmetricpb.MetricsServiceServer.
func (s service) Export(ctx context.Context, r *Request) (*Response, error) {
	return s.handler(ctx, r)
}
