package probe

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthserver "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func grpcServer(t *testing.T, options ...grpc.ServerOption) (address string) {
	t.Helper()
	state := healthserver.NewServer()
	state.SetServingStatus("down", healthpb.HealthCheckResponse_NOT_SERVING)
	s := grpc.NewServer(options...)
	healthpb.RegisterHealthServer(s, state)
	return serveGRPC(t, s)
}

func serveGRPC(t *testing.T, s *grpc.Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func grpcTo(t *testing.T, cfg Config, url string, timeout time.Duration) prober {
	t.Helper()
	_, p, err := cfg.newGRPCProbe(Target{Address: url, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGRPCProbeChecksTheHealthService(t *testing.T) {
	address := grpcServer(t)
	none := serveGRPC(t, grpc.NewServer())
	for url, want := range map[string][]string{
		"grpc://" + address:           {"connect", "response"},
		"grpc://" + address + "/":     {"connect", "response"},
		"grpc://" + address + "/down": {"connect", "response:NOT_SERVING"},
		"grpc://" + address + "/none": {"connect", "response:NotFound"},
		"grpc://" + none:              {"connect", "response:Unimplemented"},
		"grpc://" + unusedAddress(t):  {"connect:connection_refused"},
		"grpcs://" + address:          {"connect", "tls:tls"},
	} {
		wantPhases(t, grpcTo(t, Config{}, url, longTimeout).run(t.Context()), want...)
	}
	// This server accepts connections but never responds.
	silent := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	wantPhases(
		t,
		grpcTo(t, Config{}, "grpc://"+silent, 300*time.Millisecond).run(t.Context()),
		"connect",
		"response:timeout",
	)
}

func TestGRPCProbeOverTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // has a certificate for 127.0.0.1
	certified.Close()
	address := grpcServer(t, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: certified.TLS.Certificates})))
	own := x509.NewCertPool()
	own.AddCert(certified.Certificate())
	wantPhases(t, grpcTo(t, Config{}, "grpcs://"+address, longTimeout).run(t.Context()), "connect", "tls:tls")
	wantPhases(
		t,
		grpcTo(t, Config{TLS: TLSConfig{Roots: own}}, "grpcs://"+address, longTimeout).run(t.Context()),
		"connect",
		"tls",
		"response",
	)
	wantPhases(
		t,
		grpcTo(t, Config{TLS: TLSConfig{SkipVerify: true}}, "grpcs://"+address+"/down", longTimeout).run(t.Context()),
		"connect",
		"tls",
		"response:NOT_SERVING",
	)
}

func TestParseGRPC(t *testing.T) {
	for _, good := range []string{"grpc://app.example:9090", "grpcs://[2001:db8::1]:443/orders.v1.Orders"} {
		if _, err := ParseGRPC(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "app:9090", "grpc://app", "http://app:80", "grpc://u:p@app:1", "grpc://app:1?q", "grpc://app:0", "grpc:///x"} {
		if _, err := ParseGRPC(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
