package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// secured holds the connections to a sidecar that requires TLS.
type secured struct {
	conn   *grpc.ClientConn
	client *http.Client
	url    string
}

// connect returns new connections to s from a client with the given TLS configuration.
func connect(t *testing.T, s *relayed, config *tls.Config) *secured {
	t.Helper()
	conn, err := grpc.NewClient(s.target, grpc.WithTransportCredentials(credentials.NewTLS(config.Clone())))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	t.Cleanup(func() {
		_ = conn.Close()
		client.CloseIdleConnections()
	})
	return &secured{conn, client, "https://" + s.httpAddress + "/v1/metrics"}
}

// send sends a request over gRPC and one over HTTP, and returns the errors.
func (s *secured) send(t *testing.T, body []byte) (overGRPC, overHTTP error) {
	t.Helper()
	var reply []byte
	// Without WaitForReady, Invoke fails if it cannot connect.
	overGRPC = s.conn.Invoke(t.Context(), metricsMethod, body, &reply, grpc.ForceCodecV2(bytesCodec{}))
	answer, err := s.client.Post(s.url, "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		return overGRPC, err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("POST %s: %s, want 200", s.url, answer.Status)
	}
	return overGRPC, nil
}

func trusting(t *testing.T, file string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// With a certificate, the TCP listeners require TLS and, with a client CA, client certificates.
// Replaced files apply to the next connection. SIGHUP, which tells other programs to read their
// files again, does not terminate the sidecar.
func TestRelayListenersWithTLS(t *testing.T) {
	up := newSink(t)
	ca, next := newAuthority(t, "ca"), newAuthority(t, "next")
	cert, key := ca.issue("sidecar")
	clientCert, clientKey := ca.issue("app")
	s := newRelay(
		t,
		up.listen("127.0.0.1:0"),
		"--relay-certificate="+cert,
		"--relay-key="+key,
		"--relay-client-ca="+ca.file,
	).start()
	body := mustMarshal(t, sequenceRequest(0, 0))

	withoutCert := connect(t, s, trusting(t, ca.file))
	if overGRPC, overHTTP := withoutCert.send(t, body); overGRPC == nil || overHTTP == nil {
		t.Errorf("without a client certificate: gRPC error %v, HTTP error %v, want both", overGRPC, overHTTP)
	}
	if err := post(t.Context(), "http://"+s.httpAddress+"/v1/metrics", "application/x-protobuf", "", body); err == nil {
		t.Error("a request without TLS is accepted, want an error")
	}
	known := trusting(t, ca.file)
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	known.Certificates = []tls.Certificate{pair}
	app := connect(t, s, known)
	if overGRPC, overHTTP := app.send(t, body); overGRPC != nil || overHTTP != nil {
		t.Errorf("with a client certificate: gRPC error %v, HTTP error %v, want none", overGRPC, overHTTP)
	}

	newCert, newKey := next.issue("sidecar")
	for from, to := range map[string]string{newCert: cert, newKey: key} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.signal(syscall.SIGHUP)
	renewed := trusting(t, next.file)
	renewed.Certificates = known.Certificates
	if overGRPC, overHTTP := connect(t, s, renewed).send(t, body); overGRPC != nil || overHTTP != nil {
		t.Errorf("with the sidecar's new certificate: gRPC error %v, HTTP error %v, want none", overGRPC, overHTTP)
	}
	if overGRPC, overHTTP := app.send(t, body); overGRPC != nil || overHTTP != nil {
		t.Errorf("on existing connections: gRPC error %v, HTTP error %v, want none", overGRPC, overHTTP)
	}
	up.awaitAll([]int64{0})
	if code, took := s.terminate(); code != 0 || took > grace {
		t.Errorf("the sidecar exited with code %d after %v, want 0 within %v", code, took, grace)
	}
}

// A chain of two sidecars with zstd between them, over gRPC and HTTP, forwards all requests.
func TestRelayZstd(t *testing.T) {
	for protocol, address := range map[string]func(*relayed) string{
		"grpc":          func(s *relayed) string { return s.target },
		"http/protobuf": func(s *relayed) string { return s.httpAddress },
	} {
		t.Run(protocol, func(t *testing.T) {
			up, a := newSink(t), &app{padding: 2000}
			gateway := newRelay(t, up.listen("127.0.0.1:0")).start()
			s := newRelay(t, address(gateway), "--otlp-compression=zstd", "--otlp-protocol="+protocol).start()
			a.sendAll(t, 40, s.all()...)
			up.awaitAll(a.acknowledged())
			up.checkOnceInOrder()
		})
	}
}
