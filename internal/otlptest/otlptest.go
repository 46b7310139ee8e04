// Package otlptest is the far end of an OTLP/gRPC metrics export, for tests and measurements: a
// receiver on loopback that answers each request as a function says, and the points of a request in
// a flat form.
package otlptest

import (
	"context"
	"fmt"
	"net"
	"strings"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // an exporter may compress
)

// Request is OTLP's, under a name that fits on a line.
type Request = colmetricpb.ExportMetricsServiceRequest

// Response is OTLP's answer to a [Request].
type Response = colmetricpb.ExportMetricsServiceResponse

// Handler answers one export. Calls may be concurrent; ctx carries the request's metadata and ends
// with the call.
type Handler func(ctx context.Context, r *Request) (*Response, error)

// Receiver is a running OTLP/gRPC metrics service. The caller closes it.
type Receiver struct {
	Addr   string // host:port, or the path of the socket
	server *grpc.Server
	served chan struct{}
}

// Start listens on addr, as "127.0.0.1:0" or "unix:/path", and answers every export with h.
func Start(addr string, h Handler, opts ...grpc.ServerOption) (*Receiver, error) {
	network := "tcp"
	if path, isUnix := strings.CutPrefix(addr, "unix:"); isUnix {
		network, addr = "unix", path
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), network, addr)
	if err != nil {
		return nil, fmt.Errorf("otlp receiver: %w", err)
	}
	r := &Receiver{Addr: l.Addr().String(), server: grpc.NewServer(opts...), served: make(chan struct{})}
	colmetricpb.RegisterMetricsServiceServer(r.server, service{answer: h})
	go func() {
		defer close(r.served)
		_ = r.server.Serve(l) // ends with Close, and has nothing else to say
	}()
	return r, nil
}

// Close stops the receiver, cancels the calls that are open and joins its goroutines.
func (r *Receiver) Close() {
	r.server.Stop()
	<-r.served
}

type service struct {
	colmetricpb.UnimplementedMetricsServiceServer
	answer Handler
}

// Export implements the service.
func (s service) Export(ctx context.Context, r *Request) (*Response, error) {
	return s.answer(ctx, r)
}
