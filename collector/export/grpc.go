package export

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/poolgauge/poolgauge/collector/compress"
)

// grpcClient sends OTLP over gRPC.
type grpcClient struct {
	cfg     Config
	target  string
	options []grpc.DialOption
	call    []grpc.CallOption

	mu   sync.Mutex // guards everything below, including what it points to
	conn *grpcConn
}

// grpcConn is the current connection, or one that was given up and will be closed when its last
// request has completed.
type grpcConn struct {
	*grpc.ClientConn

	until   time.Time // when to replace it
	users   int
	givenUp bool
}

// ConnectionLife returns how long to use a gRPC connection, chosen at random. The next connection
// goes to a random address again, so that a fleet spreads over gateways that were added or
// restarted one after the other.
func ConnectionLife() time.Duration { return 4*time.Minute + upTo(2*time.Minute) }

func (c *grpcClient) newConn() (*grpcConn, error) {
	conn, err := grpc.NewClient(c.target, c.options...)
	if err != nil {
		return nil, err
	}
	return &grpcConn{ClientConn: conn, until: time.Now().Add(ConnectionLife())}, nil
}

func dialGRPC(cfg Config) (Client, error) {
	c := &grpcClient{cfg: cfg, call: []grpc.CallOption{grpc.ForceCodecV2(raw{})}}
	if cfg.Compression != compress.None && cfg.Compression != "" {
		c.call = append(c.call, grpc.UseCompressor(cfg.Compression))
	}
	target, secure, err := grpcTarget(cfg.URL)
	if err != nil {
		return nil, err
	}
	c.target = target
	creds := insecure.NewCredentials()
	if secure {
		creds = reloading{load: cfg.TLS}
	}
	c.options = []grpc.DialOption{
		grpc.WithTransportCredentials(creds), grpc.WithUserAgent(cfg.UserAgent),
		// The exporter decides when to retry, and gRPC must not query DNS for a service config.
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(balancing(cfg.RoundRobin)),
	}
	if c.conn, err = c.newConn(); err != nil {
		return nil, err
	}
	return c, nil
}

// balancing returns the gRPC service config for load balancing. Without round robin, each sidecar
// in a fleet picks one of the host name's addresses at random.
func balancing(roundRobin bool) string {
	if roundRobin {
		return `{"loadBalancingConfig":[{"round_robin":{}}]}`
	}
	return `{"loadBalancingConfig":[{"pick_first":{"shuffleAddressList":true}}]}`
}

// Send implements [Client].
func (c *grpcClient) Send(ctx context.Context, r Request) (Result, error) {
	headers, err := c.cfg.headers()
	if err != nil {
		return Result{}, err
	}
	conn := c.acquire()
	defer c.release(conn)
	var body []byte
	var remote peer.Peer // set once the request has been sent
	err = conn.Invoke(
		metadata.NewOutgoingContext(ctx, metadata.New(headers)),
		r.Signal.Method(),
		r.Data,
		&body,
		append(slices.Clip(c.call), grpc.Peer(&remote))...)
	if err != nil {
		c.renew(ctx, conn, remote.Addr != nil)
		return Result{}, grpcFailure(ctx, err)
	}
	return resultOf(body), nil
}

// Close implements [Client].
func (c *grpcClient) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.Close()
}

func (c *grpcClient) acquire() *grpcConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().After(c.conn.until) {
		c.replace()
	}
	c.conn.users++
	return c.conn
}

// replace creates a new connection and gives up the current one, which is closed once no request
// uses it. Caller must hold mu.
func (c *grpcClient) replace() {
	conn, err := c.newConn()
	if err != nil {
		return // cannot happen: it worked before
	}
	if c.conn.givenUp = true; c.conn.users == 0 {
		_ = c.conn.Close()
	}
	c.conn = conn
}

func (c *grpcClient) release(conn *grpcConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn.users--; conn.users == 0 && conn.givenUp {
		_ = conn.Close()
	}
}

// renew gives up failed, a connection on which a request has just failed, unless the upstream
// responded. sent is whether the request was sent. If there was no timely response, the connection
// may be half open (servers forbid the pings that would detect this). If the connection could not
// be established, gRPC might wait up to two minutes before the next attempt, but the exporter
// decides when to retry.
func (c *grpcClient) renew(ctx context.Context, failed *grpcConn, sent bool) {
	state := failed.GetState()
	// A response to the first request may arrive before gRPC changes the state to ready.
	established := state == connectivity.Ready || state == connectivity.Connecting && sent
	if ctx.Err() == nil && established {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == failed { // otherwise another request has replaced it already
		c.replace()
	}
}

// grpcTarget converts rawURL to a gRPC target, and reports whether the endpoint uses TLS.
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
		return "", false, fmt.Errorf("endpoint: expected an http, https or unix URL, got %q", rawURL)
	}
}

func withPort(u *url.URL, standard string) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), standard)
}

// grpcFailure classifies err according to the specification
// (https://opentelemetry.io/docs/specs/otlp/#failures), except that some requests are held.
func grpcFailure(ctx context.Context, err error) *Failure {
	response := status.Convert(err)
	var info *errdetails.RetryInfo
	for _, detail := range response.Details() {
		if d, ok := detail.(*errdetails.RetryInfo); ok {
			info = d
		}
	}
	statusCode := knownCode(response.Code())
	f := &Failure{Reason: code.Code(statusCode).String(), Kind: Held, Err: err}
	switch statusCode {
	case codes.ResourceExhausted:
		f.Kind = Large
		if info != nil {
			f.Kind = Passing
		}
	case codes.DeadlineExceeded:
		f.Kind = Passing
		if ctx.Err() != nil { // our deadline, not the upstream's
			f.Kind = Slow
		}
	case codes.Canceled, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		f.Kind = Passing
	case codes.InvalidArgument:
		f.Kind = Invalid
	case codes.Internal, codes.Unknown, codes.FailedPrecondition:
		f.Kind = Split
	default:
	}
	if f.Kind == Passing {
		f.After = capRetryAfter(info.GetRetryDelay().AsDuration())
	}
	return f
}

// knownCode returns c if the gRPC specification defines c, and Unknown otherwise. This bounds the
// number of reasons, whatever an upstream sends.
func knownCode(c codes.Code) codes.Code {
	if c > codes.Unauthenticated {
		return codes.Unknown
	}
	return c
}

// maxGRPCResponse is gRPC's default limit for a response, in bytes.
const maxGRPCResponse = 4 << 20

// raw is a codec that passes bytes through unchanged. It has the name of the protobuf codec, since
// the bytes are already encoded in protobuf.
type raw struct{}

// Marshal implements encoding.CodecV2.
func (raw) Marshal(v any) (mem.BufferSlice, error) {
	pieces := v.([][]byte)
	buffers := make(mem.BufferSlice, len(pieces))
	for i, piece := range pieces {
		buffers[i] = mem.SliceBuffer(piece)
	}
	return buffers, nil
}

// Unmarshal implements encoding.CodecV2.
func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	encoding, body := compress.Packed(data.Materialize())
	if encoding != compress.None {
		var err error
		if body, err = compress.Unpack(encoding, body, maxGRPCResponse); err != nil {
			return err
		}
	}
	*v.(*[]byte) = body
	return nil
}

// Name implements encoding.CodecV2.
func (raw) Name() string { return "proto" }
