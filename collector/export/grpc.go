package export

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// grpcClient sends OTLP over gRPC. Signals with the same URL share a connection.
type grpcClient struct {
	signals map[otlp.Signal]grpcSignal
	conns   map[string]*grpcConn // by URL
	call    []grpc.CallOption
}

// grpcSignal is where the batches of a signal go.
type grpcSignal struct {
	conn    *grpcConn
	headers metadata.MD
}

func dialGRPC(cfg Config) (Client, error) {
	c := &grpcClient{
		signals: map[otlp.Signal]grpcSignal{}, conns: map[string]*grpcConn{},
		call: []grpc.CallOption{grpc.ForceCodecV2(raw{})},
	}
	if cfg.Gzip {
		c.call = append(c.call, grpc.UseCompressor(gzip.Name))
	}
	for s, e := range cfg.Endpoints {
		if c.conns[e.URL] == nil {
			conn, err := newGRPCConn(e.URL, cfg)
			if err != nil {
				return nil, errors.Join(err, c.Close())
			}
			c.conns[e.URL] = conn
		}
		c.signals[s] = grpcSignal{c.conns[e.URL], metadata.New(e.Headers)}
	}
	return c, nil
}

// Send implements [Client].
func (c *grpcClient) Send(ctx context.Context, b otlp.Batch) (Result, error) {
	to, ok := c.signals[b.Signal]
	if !ok {
		return Result{}, noEndpoint(b.Signal)
	}
	var body []byte
	err := to.conn.Invoke(metadata.NewOutgoingContext(ctx, to.headers), b.Signal.Method(), b.Data, &body, c.call...)
	if err != nil {
		to.conn.renew(ctx)
		return Result{}, grpcFailure(err)
	}
	return resultOf(body), nil
}

// Close implements [Client].
func (c *grpcClient) Close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// grpcConn is a connection that can be made anew.
type grpcConn struct {
	*grpc.ClientConn

	target  string
	options []grpc.DialOption
}

func newGRPCConn(rawURL string, cfg Config) (*grpcConn, error) {
	target, secure, err := grpcTarget(rawURL)
	if err != nil {
		return nil, err
	}
	creds := insecure.NewCredentials()
	if secure {
		creds = reloading{load: cfg.TLS}
	}
	c := &grpcConn{target: target, options: []grpc.DialOption{
		grpc.WithTransportCredentials(creds), grpc.WithUserAgent(cfg.UserAgent),
		grpc.WithDisableServiceConfig(), // what is retried is for the exporter to say, and nobody looks for it in the DNS
	}}
	c.ClientConn, err = grpc.NewClient(c.target, c.options...)
	return c, err
}

// grpcTarget returns an endpoint in gRPC's own form, and whether it has TLS.
func grpcTarget(rawURL string) (target string, secure bool, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", false, err
	}
	switch u.Scheme {
	case "unix":
		return "unix:" + u.Path, false, nil
	case "http":
		return "dns:///" + withPort(u, "80"), false, nil
	case "https":
		return "dns:///" + withPort(u, "443"), true, nil
	default:
		return "", false, fmt.Errorf("endpoint: expected a URL of http, https or unix, got %q", rawURL)
	}
}

func withPort(u *url.URL, standard string) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), standard)
}

// renew is called after a failure. It gives the connection up unless the upstream answered on it: one that did not answer in time may be half open
// (servers forbid pings that would show it), and one that could not be made is not tried again for two minutes by gRPC, where it is for the exporter to
// say when.
func (c *grpcConn) renew(ctx context.Context) {
	if ctx.Err() == nil && c.GetState() == connectivity.Ready {
		return
	}
	if conn, err := grpc.NewClient(c.target, c.options...); err == nil {
		_ = c.Close() // nothing is under way on it
		c.ClientConn = conn
	}
}

// grpcFailure applies the rules of the specification (https://opentelemetry.io/docs/specs/otlp/#failures).
func grpcFailure(err error) *Failure {
	answered := status.Convert(err)
	var info *errdetails.RetryInfo
	for _, detail := range answered.Details() {
		if d, ok := detail.(*errdetails.RetryInfo); ok {
			info = d
		}
	}
	f := &Failure{Reason: nameOf(answered.Code()), Err: err}
	switch answered.Code() {
	case codes.ResourceExhausted:
		f.Retry = info != nil
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		f.Retry = true
	default:
	}
	if f.Retry {
		f.After = bounded(info.GetRetryDelay().AsDuration())
	}
	return f
}

// nameOf returns the name of a status as gRPC's specification has it. There are few names, whatever number an upstream sends.
func nameOf(c codes.Code) string {
	if c > codes.Unauthenticated {
		c = codes.Unknown
	}
	return code.Code(c).String()
}

// raw is a codec that passes bytes as they are, under the name of the one whose bytes they are.
type raw struct{}

// Marshal implements encoding.CodecV2.
func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal implements encoding.CodecV2.
func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// Name implements encoding.CodecV2.
func (raw) Name() string { return "proto" }
