package receive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/poolgauge/poolgauge/collector/compress"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// newGRPC returns a server for the three Export methods. The methods are declared as streams, which
// on the wire are identical to unary calls. With streams, the handlers read messages themselves,
// and can count messages that cannot be read.
func (s *Server) newGRPC() *grpc.Server {
	g := grpc.NewServer(
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.InTapHandle(onArrival),
		grpc.MaxRecvMsgSize(s.gate.message),
		grpc.MaxConcurrentStreams(s.gate.streams),
		grpc.MaxHeaderListSize(64<<10),
		grpc.StaticStreamWindowSize(64<<10), // how much a client may send before the server reads
		grpc.StaticConnWindowSize(1<<20),
		grpc.ReadBufferSize(8<<10),
		grpc.WriteBufferSize(8<<10), // small, since there may be hundreds of idle connections
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(
			keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true},
		),
		grpc.WaitForHandlers(true),
	)
	for _, signal := range otlp.Signals() {
		service, method := path.Split(strings.TrimPrefix(signal.Method(), "/"))
		g.RegisterService(&grpc.ServiceDesc{
			ServiceName: strings.TrimSuffix(service, "/"),
			Streams:     []grpc.StreamDesc{{StreamName: method, ClientStreams: true, Handler: s.export(signal)}},
		}, nil)
	}
	return g
}

type arrivalKey struct{}

// onArrival is called for each request before its message is read. It starts the timeout for
// receiving the message.
func onArrival(ctx context.Context, _ *tap.Info) (context.Context, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ctx, nil
	}
	from, ok := p.Addr.(remote)
	if !ok {
		return ctx, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a := from.conn.begin(cancel)
	context.AfterFunc(ctx, a.abandon) // if gRPC itself rejects the request, no handler is called
	return context.WithValue(ctx, arrivalKey{}, a), nil
}

func (s *Server) export(signal otlp.Signal) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		points, refusal := s.receive(signal, stream)
		if refusal != nil {
			s.refused(signal, points, refusal)
			return refusal.status().Err()
		}
		return stream.SendMsg(emptyResponse)
	}
}

func (s *Server) receive(signal otlp.Signal, stream grpc.ServerStream) (points int64, refusal *Refusal) {
	ctx := stream.Context()
	var m message
	err := stream.RecvMsg(&m)
	a, _ := ctx.Value(arrivalKey{}).(*arrival)
	if err != nil {
		a.abandon()
		return 0, s.unreadable(ctx, err)
	}
	defer a.complete(m.data.Len())()
	return s.process(ctx, signal, &body{parts: m.data, encoding: compress.None, arrival: a})
}

// unreadable converts err, an error of RecvMsg, to a refusal. The refusal is only counted, because
// the client has already received gRPC's own status. If the message was too large, that status is
// RESOURCE_EXHAUSTED without RetryInfo, which in OTLP means that the client must not retry.
func (s *Server) unreadable(ctx context.Context, err error) *Refusal {
	if errors.Is(context.Cause(ctx), errStalled) {
		return &Refusal{Reason: Slow, RetryAfter: retryDelay, Message: errStalled.Error()}
	}
	sent := status.Convert(err)
	switch sent.Code() {
	case codes.ResourceExhausted:
		return s.tooLarge()
	case codes.Internal:
		return &Refusal{Reason: Malformed, Message: sent.Message()}
	default:
		if errors.Is(err, io.EOF) {
			return &Refusal{Reason: Malformed, Message: "the request has no message"}
		}
		return &Refusal{Reason: Canceled, Message: sent.Message()}
	}
}

func (s *Server) tooLarge() *Refusal {
	return &Refusal{
		Reason: TooLarge,
		Message: fmt.Sprintf(
			"the request, uncompressed, is larger than %d bytes (--relay-request-size)",
			s.gate.message,
		),
	}
}

// message is a request as it was received. Its buffers belong to gRPC and must be freed.
type message struct{ data mem.BufferSlice }

// emptyResponse is an Export…ServiceResponse without a partial success.
var emptyResponse mem.BufferSlice

// rawCodec is a codec that leaves messages encoded.
type rawCodec struct{}

// Marshal returns v, which must be a mem.BufferSlice.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	data, ok := v.(mem.BufferSlice)
	if !ok {
		return nil, fmt.Errorf("raw codec: cannot send %T", v)
	}
	return data, nil
}

// Unmarshal keeps the data unchanged.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("raw codec: cannot unmarshal into %T", v)
	}
	data.Ref()
	m.data = data
	return nil
}

// Name returns the content subtype of OTLP messages, which are protobuf.
func (rawCodec) Name() string { return "proto" }
