package receive

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// newGRPC returns a server of the three Export methods. They are streams for gRPC, which on the wire is the same as a single call: so a
// message is read after there is memory for it, and one that cannot be read is accounted for too.
func (s *Server) newGRPC(take intake) *grpc.Server {
	g := grpc.NewServer(
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(s.memory.message),
		grpc.MaxConcurrentStreams(s.memory.streams),
		grpc.MaxHeaderListSize(64<<10),
		grpc.StaticStreamWindowSize(64<<10), // what a client may send before we read
		grpc.StaticConnWindowSize(1<<20),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
	for _, signal := range otlp.Signals() {
		service, method := path.Split(strings.TrimPrefix(signal.Method(), "/"))
		g.RegisterService(&grpc.ServiceDesc{
			ServiceName: strings.TrimSuffix(service, "/"),
			Streams:     []grpc.StreamDesc{{StreamName: method, ClientStreams: true, Handler: s.export(signal, take)}},
		}, nil)
	}
	return g
}

func (s *Server) export(signal otlp.Signal, take intake) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		points, refusal := s.receive(signal, stream, take)
		if refusal != nil {
			s.refused(signal, points, refusal)
			return refusal.status().Err()
		}
		return stream.SendMsg(emptyAnswer)
	}
}

func (s *Server) receive(signal otlp.Signal, stream grpc.ServerStream, take intake) (points int64, refusal *Refusal) {
	ctx := stream.Context()
	room, refusal := s.memory.reserve(ctx, s.memory.message)
	if refusal != nil {
		return 0, refusal
	}
	defer room.release()
	var m message
	if err := stream.RecvMsg(&m); err != nil {
		return 0, s.unreadable(err)
	}
	defer m.buffer.Free()
	room.shrink(m.buffer.Len())
	return take(ctx, signal, m.buffer.ReadOnlyData())
}

// unreadable turns an error of RecvMsg into ours, for the account. The client has gRPC's own status by then: RESOURCE_EXHAUSTED without a
// RetryInfo for a message that is too large, INTERNAL for one that cannot be decompressed. Both are for good by OTLP's rules.
func (s *Server) unreadable(err error) *Refusal {
	answer := status.Convert(err)
	switch answer.Code() {
	case codes.ResourceExhausted:
		return s.tooLarge()
	case codes.Internal:
		return &Refusal{Reason: Malformed, Message: answer.Message()}
	default:
		if errors.Is(err, io.EOF) {
			return &Refusal{Reason: Malformed, Message: "no message"}
		}
		return &Refusal{Reason: Canceled, Message: answer.Message()}
	}
}

func (s *Server) tooLarge() *Refusal {
	return &Refusal{Reason: TooLarge, Message: fmt.Sprintf("a request may have %d bytes, decompressed", s.memory.message)}
}

// message is a request as it came. Its buffer is gRPC's, and to be freed.
type message struct{ buffer mem.Buffer }

// emptyAnswer is an Export…ServiceResponse without a partial success.
var emptyAnswer mem.BufferSlice

// rawCodec leaves messages as they are on the wire.
type rawCodec struct{}

// Marshal takes the bytes to send as mem.BufferSlice.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	data, ok := v.(mem.BufferSlice)
	if !ok {
		return nil, fmt.Errorf("raw codec: cannot send %T", v)
	}
	return data, nil
}

// Unmarshal keeps the bytes: as they are if they came in one piece.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("raw codec: cannot receive %T", v)
	}
	m.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}

// Name is what content types say of OTLP's messages.
func (rawCodec) Name() string { return "proto" }
