package receive

import (
	"context"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

func newGRPC(in *intake) *grpc.Server {
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(otlp.Raw{}),
		grpc.MaxRecvMsgSize(LongestRequest),
		grpc.MaxConcurrentStreams(streams),
		grpc.SharedWriteBuffer(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	for _, signal := range otlp.Signals() {
		service, _, _ := strings.Cut(signal.Method()[1:], "/")
		server.RegisterService(&grpc.ServiceDesc{
			ServiceName: service,
			Methods:     []grpc.MethodDesc{{MethodName: "Export", Handler: in.exporter(signal)}},
		}, nil)
	}
	return server
}

// exporter returns the handler of a signal's Export.
func (in *intake) exporter(signal otlp.Signal) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		hold, err := in.gate.enter(ctx)
		if err != nil {
			return nil, status.FromContextError(err).Err()
		}
		defer hold.release()
		var request []byte
		if err := decode(&request); err != nil {
			if status.Code(err) == codes.ResourceExhausted {
				return nil, in.refuse(signal, 0, tooLarge()).status()
			}
			return nil, err
		}
		if r := hold.grow(len(request)); r != nil {
			return nil, in.refuse(signal, 0, r).status()
		}
		if r := in.take(ctx, signal, request); r != nil {
			return nil, r.status()
		}
		return []byte(nil), nil
	}
}

// status returns the refusal as an error of gRPC.
func (r *refusal) status() error {
	s := status.New(r.code, r.err.Error())
	if r.after > 0 {
		if informed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(r.after)}); err == nil {
			s = informed
		}
	}
	return s.Err()
}
