package export

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// identity is a certificate for both ends of a connection on loopback, from a CA that nothing else
// uses.
type identity struct {
	ca, cert, key []byte // PEM
}

func newIdentity(t *testing.T, name string) identity {
	t.Helper()
	sign := func(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template.SerialNumber, template.Subject = big.NewInt(1), pkix.Name{CommonName: name}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		if parent == nil {
			parent, parentKey = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert, key
	}
	ca, caKey := sign(
		&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign},
		nil,
		nil,
	)
	cert, key := sign(&x509.Certificate{
		IPAddresses: []net.IP{
			net.IPv4(127, 0, 0, 1),
		},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, ca, caKey)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return identity{block("CERTIFICATE", ca.Raw), block("CERTIFICATE", cert.Raw), block("EC PRIVATE KEY", der)}
}

// server returns the configuration of an upstream that accepts only clients of the same CA.
func (id identity) server(t *testing.T) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair(id.cert, id.key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(id.ca)
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{pair},
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}
}

// files are certificates on disk.
type files struct{ dir string }

func (f files) write(t *testing.T, id identity) {
	t.Helper()
	for name, content := range map[string][]byte{"ca": id.ca, "cert": id.cert, "key": id.key} {
		if err := os.WriteFile(filepath.Join(f.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (f files) load() (*tls.Config, error) {
	ca, err := os.ReadFile(filepath.Join(f.dir, "ca"))
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(f.dir, "cert"), filepath.Join(f.dir, "key"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair}}, nil
}

// testReload sends to an upstream that switches from one CA to another and breaks all connections
// when it does. serve starts the upstream and returns a function that stops it.
func testReload(
	t *testing.T,
	protocol string,
	serve func(addr string, config *tls.Config) (addrOut string, stop func()),
) {
	t.Helper()
	one, two := newIdentity(t, "one"), newIdentity(t, "two")
	f := files{t.TempDir()}
	f.write(t, one)
	addr, stop := serve("", one.server(t))
	c := dial(t, Config{Protocol: protocol, URL: "https://" + addr, TLS: f.load})
	mustSend(t, c, metrics("1"))
	stop()

	// The upstream has switched, but the files have not: requests fail, and may be retried.
	_, stop = serve(addr, two.server(t))
	for range 3 {
		if failure := mustFail(t, context.Background(), c, metrics("2")); !retryable(failure) {
			t.Fatalf("before the files switch: got %+v, want a retryable failure", failure)
		}
	}
	// The same holds while the files cannot be read.
	if err := os.Remove(filepath.Join(f.dir, "key")); err != nil {
		t.Fatal(err)
	}
	if failure := mustFail(t, context.Background(), c, metrics("2")); !retryable(failure) {
		t.Fatalf("without a key file: got %+v, want a retryable failure", failure)
	}
	f.write(t, two)
	mustSend(t, c, metrics("2")) // at the first attempt

	// A switch is also followed if the files and the upstream change together. A request may still
	// find its connection closed.
	stop()
	f.write(t, one)
	_, stop = serve(addr, one.server(t))
	defer stop()
	for i := 0; ; i++ {
		_, err := c.Send(context.Background(), requestOf(metrics("3")))
		if err == nil {
			return
		}
		var failure *Failure
		if i > 1 || !errors.As(err, &failure) || !retryable(failure) {
			t.Fatal(err)
		}
	}
}

func TestGRPCReloadsCertificates(t *testing.T) {
	testReload(t, GRPC, func(addr string, config *tls.Config) (string, func()) {
		s := serveGRPC(t, listen(t, addr), grpcOK, grpc.Creds(credentials.NewTLS(config)))
		return s.addr, s.server.Stop
	})
}

func TestHTTPReloadsCertificates(t *testing.T) {
	testReload(t, HTTPProtobuf, func(addr string, config *tls.Config) (string, func()) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		_ = s.Listener.Close()
		s.Listener, s.TLS = listen(t, addr), config
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.Listener.Addr().String(), s.Close
	})
}

// An upstream whose certificate is from an untrusted CA receives nothing, whether the trusted CAs
// are configured or the system's.
func TestUntrustedCA(t *testing.T) {
	f := files{t.TempDir()}
	f.write(t, newIdentity(t, "ours"))
	config := newIdentity(t, "foreign").server(t)
	config.ClientAuth = tls.NoClientCert
	s := serveGRPC(t, listen(t, ""), grpcOK, grpc.Creds(credentials.NewTLS(config)))
	for name, load := range map[string]func() (*tls.Config, error){"configured CA": f.load, "system CAs": nil} {
		c := dial(t, Config{Protocol: GRPC, URL: "https://" + s.addr, TLS: load})
		if failure := mustFail(
			t,
			context.Background(),
			c,
			metrics("x"),
		); !retryable(failure) ||
			failure.Reason != "UNAVAILABLE" {
			t.Errorf("%s: got %+v, want UNAVAILABLE, retryable", name, failure)
		}
	}
	equal(t, "requests", len(s.requests()), 0)
}

// Behind a proxy, certificates are loaded again after a failure.
func TestHTTPReloadsBehindProxy(t *testing.T) {
	loads := 0
	cfg := Config{TLS: func() (*tls.Config, error) {
		loads++
		return &tls.Config{MinVersion: tls.VersionTLS13}, nil //nolint:gosec // to recognize the config
	}}
	c := &httpClient{cfg: cfg}
	c.transport.Store(newTransport(&c.cfg))
	c.renew(c.transport.Load())
	if loads != 2 || c.transport.Load().TLSClientConfig.MinVersion != tls.VersionTLS13 {
		t.Errorf("certificates were loaded %d times, want 2, with the config in use", loads)
	}
}

func TestReloadingCredentialsAreForClientsOnly(t *testing.T) {
	creds := reloading{}
	if err := creds.OverrideServerName("other"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another server name: %v, want %v", err, errors.ErrUnsupported)
	}
	if _, _, err := creds.ServerHandshake(nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("as a server: %v, want %v", err, errors.ErrUnsupported)
	}
}
