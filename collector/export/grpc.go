package export

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// grpcClient sends OTLP over gRPC.
type grpcClient struct {
	target  string
	headers metadata.MD
	dial    []grpc.DialOption
	call    []grpc.CallOption
	conn    *grpc.ClientConn
}

// NewGRPC returns a client that connects when it first sends.
func NewGRPC(cfg Config) (Client, error) {
	target, creds, err := target(cfg)
	if err != nil {
		return nil, err
	}
	c := &grpcClient{
		target: target, headers: metadata.New(cfg.Headers),
		dial: []grpc.DialOption{grpc.WithTransportCredentials(creds), grpc.WithUserAgent(userAgent)},
		call: []grpc.CallOption{grpc.ForceCodecV2(raw{})},
	}
	if cfg.Gzip {
		c.call = append(c.call, grpc.UseCompressor(gzip.Name))
	}
	c.conn, err = grpc.NewClient(target, c.dial...)
	return c, err
}

// target returns where a URL points to, as gRPC has it, and whether there is TLS.
func target(cfg Config) (string, credentials.TransportCredentials, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		return "", nil, err
	case u.Scheme == "unix":
		return "unix:" + u.Path, insecure.NewCredentials(), nil
	case u.Scheme == "http":
		return u.Host, insecure.NewCredentials(), nil
	case u.Scheme == "https" && u.Port() == "":
		return net.JoinHostPort(u.Hostname(), "443"), reloading{load: cfg.TLS}, nil
	case u.Scheme == "https":
		return u.Host, reloading{load: cfg.TLS}, nil
	default:
		return "", nil, fmt.Errorf("expected a URL of http, https or unix, got %q", cfg.URL)
	}
}

// Send implements [Client].
func (c *grpcClient) Send(ctx context.Context, b otlp.Batch) (Answer, *Failure) {
	if len(c.headers) > 0 {
		ctx = metadata.NewOutgoingContext(ctx, c.headers)
	}
	var body []byte
	if err := c.conn.Invoke(ctx, b.Signal.Method(), b.Data, &body, c.call...); err != nil {
		c.reconnect(err)
		return Answer{}, grpcFailure(err)
	}
	return answerOf(body), nil
}

// reconnect gives up a connection that did not answer in time: it may be half open, and gRPC would go on using it.
func (c *grpcClient) reconnect(err error) {
	if status.Code(err) != codes.DeadlineExceeded {
		return
	}
	if conn, err := grpc.NewClient(c.target, c.dial...); err == nil {
		_ = c.conn.Close()
		c.conn = conn
	}
}

// Close implements [Client].
func (c *grpcClient) Close() error { return c.conn.Close() }

// grpcFailure applies the rules of the OTLP specification (https://opentelemetry.io/docs/specs/otlp/#failures).
func grpcFailure(err error) *Failure {
	answered := statusOf(err)
	var info *errdetails.RetryInfo
	for _, detail := range answered.Details() {
		if d, ok := detail.(*errdetails.RetryInfo); ok {
			info = d
		}
	}
	f := &Failure{Reason: answered.Code().String(), Cause: err}
	switch answered.Code() {
	case codes.ResourceExhausted:
		f.Passing = info != nil
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		f.Passing = true
	}
	if f.Passing {
		f.After = bounded(info.GetRetryDelay().AsDuration())
	}
	return f
}

// statusOf returns the gRPC status of an error: its own or, for one that is not gRPC's, that of the context that ended, else Unknown.
func statusOf(err error) *status.Status {
	var s interface{ GRPCStatus() *status.Status }
	switch {
	case errors.As(err, &s):
		return s.GRPCStatus()
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, err.Error())
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, err.Error())
	default:
		return status.New(codes.Unknown, err.Error())
	}
}

// raw is a codec of gRPC that passes messages as the bytes that they are: a message sent is a []byte, one received a *[]byte.
type raw struct{}

// Marshal implements encoding.CodecV2. The bytes must not change while they are sent.
func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal implements encoding.CodecV2. The bytes are a copy, which the receiver owns.
func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// Name implements encoding.CodecV2.
func (raw) Name() string { return "proto" }

// reloading are a client's credentials, which are read at each handshake.
type reloading struct {
	load func() (*tls.Config, error)
}

// ClientHandshake implements credentials.TransportCredentials.
func (r reloading) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := r.load()
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake implements credentials.TransportCredentials.
func (reloading) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.ErrUnsupported
}

// Info implements credentials.TransportCredentials.
func (reloading) Info() credentials.ProtocolInfo { return credentials.NewTLS(nil).Info() }

// Clone implements credentials.TransportCredentials.
func (r reloading) Clone() credentials.TransportCredentials { return r }

// OverrideServerName implements credentials.TransportCredentials.
func (reloading) OverrideServerName(string) error { return errors.ErrUnsupported }
