package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// sink is the upstream. It only counts points, to use little CPU time.
type sink struct {
	addr   string
	points atomic.Int64
	server *grpc.Server
}

func startSink(ctx context.Context) (*sink, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{addr: l.Addr().String()}
	s.server = grpc.NewServer(
		grpc.ForceServerCodecV2(raw{}),
		grpc.MaxRecvMsgSize(64<<20),
		grpc.UnknownServiceHandler(s.export),
	)
	go func() { _ = s.server.Serve(l) }() // returns when close is called
	return s, nil
}

func (s *sink) close() { s.server.Stop() }

func (s *sink) export(_ any, stream grpc.ServerStream) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	n, err := otlp.Inspect(otlp.Metrics, request)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	s.points.Add(n)
	return stream.SendMsg([]byte{})
}

// raw is a gRPC codec that passes encoded messages through unchanged: it sends a []byte and
// receives into a *[]byte.
type raw struct{}

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	data, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("raw codec: cannot send %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	to, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("raw codec: cannot receive into %T", v)
	}
	*to = make([]byte, data.Len())
	_, err := io.ReadFull(data.Reader(), *to)
	return err
}

func (raw) Name() string { return "proto" }
