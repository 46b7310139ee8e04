package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// grpcCost is the CPU time assumed for a gRPC connection. The actual CPU time cannot be measured,
// since gRPC uses its own goroutines.
const grpcCost = time.Millisecond

// grpcProbe calls a health service (grpc.health.v1) on a new connection in each run.
type grpcProbe struct {
	dialer    dialer
	authority string
	service   string
	tls       *tls.Config // nil for grpc://
	timeout   time.Duration
}

func newGRPC(u *url.URL, timeout time.Duration, trust TLSConfig) *grpcProbe {
	p := &grpcProbe{
		dialer: newDialer(
			u.Hostname(),
			u.Port(),
		),
		authority: u.Host,
		service:   strings.TrimPrefix(u.Path, "/"),
		timeout:   timeout,
	}
	if u.Scheme == "grpcs" {
		p.tls = trust.config(u.Hostname(), "h2")
	}
	return p
}

func (p *grpcProbe) run(ctx context.Context) (r result) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	raw := p.dialer.dial(ctx, &r)
	if raw == nil {
		return r
	}
	defer func() { _ = raw.Close() }()
	conn := handshake(raw, p.tls, &r)
	if conn == nil {
		return r
	}
	start := time.Now()
	r.cost += grpcCost
	switch state, err := p.check(ctx, conn); {
	case err != nil:
		r.fail("response", start, grpcErrorType(ctx, err), err)
	case state != healthpb.HealthCheckResponse_SERVING:
		r.fail("response", start, state.String(), fmt.Errorf("health status %v", state))
	default:
		r.phase("response", start)
	}
	return r
}

// check calls the health service over conn and closes conn.
func (p *grpcProbe) check(ctx context.Context, conn net.Conn) (healthpb.HealthCheckResponse_ServingStatus, error) {
	first := make(chan net.Conn, 1)
	first <- conn
	client, err := grpc.NewClient("passthrough:///"+p.authority,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the connection already uses TLS
		grpc.WithNoProxy(), grpc.WithDisableServiceConfig(),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-first:
				return c, nil
			default:
				return nil, errors.New("connection lost: the probe does not reconnect")
			}
		}))
	if err != nil {
		return healthpb.HealthCheckResponse_UNKNOWN, err
	}
	resp, err := healthpb.NewHealthClient(client).Check(ctx, &healthpb.HealthCheckRequest{Service: p.service})
	_ = client.Close()
	return resp.GetStatus(), err
}

// grpcErrorType returns the error.type of err, which a call with ctx returned: "timeout", or the
// name of the gRPC status code. Once ctx is done, the connection fails too, and gRPC may return the
// connection's error, so grpcErrorType checks ctx first.
func grpcErrorType(ctx context.Context, err error) string {
	if ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded {
		return "timeout"
	}
	return status.Code(err).String()
}

func (p *grpcProbe) close() {}
