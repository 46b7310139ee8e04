package receive

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/internal/logtest"
)

// Each port serves both protocols.
func TestBothProtocolsOnEachPort(t *testing.T) {
	b := start(t, nil)
	for _, addr := range []net.Addr{b.GRPCAddr(), b.HTTPAddr()} {
		if s, _ := export(t.Context(), dial(t, addr.String()), otlp.Logs, record); s.Code() != codes.OK {
			t.Errorf("gRPC to %v: %v", addr, s)
		}
		r, err := http.Post("http://"+addr.String()+"/v1/logs", "application/x-protobuf", bytes.NewReader(record))
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Errorf("HTTP to %v: %s", addr, r.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if got := len(b.accepted()); got != 4 {
		t.Errorf("accepted %d batches, want 4", got)
	}
}

// Connections that no correctly configured OTLP client would open are closed, and logged once with
// a suggested fix.
func TestWrongProtocol(t *testing.T) {
	secure := func(c net.Conn) {
		_ = tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}).Handshake()
	} //nolint:gosec // test configuration
	for name, c := range map[string]struct {
		speak func(net.Conn)
		want  string
	}{
		"TLS":   {secure, "uses TLS"},
		"other": {func(c net.Conn) { _, _ = io.WriteString(c, "\x00hello") }, "neither OTLP/gRPC nor OTLP/HTTP"},
		"path": {func(c net.Conn) {
			_, _ = io.WriteString(c, "POST /v1/metrics/v1/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		}, "/v1/metrics/v1/metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			var log logtest.Buffer
			b := start(t, func(cfg *Config, _ *limits) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			for range 3 {
				conn, err := net.Dial("tcp", b.GRPCAddr().String())
				if err != nil {
					t.Fatal(err)
				}
				c.speak(conn)
				_, _ = io.ReadAll(conn) // until it is closed
				_ = conn.Close()
			}
			if got := log.String(); !strings.Contains(got, c.want) || strings.Count(got, "\n") != 1 ||
				!strings.Contains(got, "fix=") {
				t.Errorf("got the log\n%s\nwant one line with %q and fix=", got, c.want)
			}
		})
	}
}

// A connection that sends nothing is closed after a timeout, and does not delay Shutdown.
func TestSilentConnections(t *testing.T) {
	b := start(t, func(_ *Config, l *limits) { l.read = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", b.GRPCAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
	s, err := Listen(t.Context(), Config{GRPCAddress: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("tcp", s.GRPCAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown with a silent connection: %v", err)
	}
}

func TestHintsAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		h := newHints(slog.New(slog.NewTextHandler(&log, nil)))
		for range 120 {
			h.warn("OTLP/gRPC", "wrong")
			h.warn("OTLP/HTTP", "wrong too")
			time.Sleep(time.Second)
		}
		if got := strings.Count(log.String(), "\n"); got != 4 {
			t.Errorf("logged %d lines in two minutes for two listeners, want 4", got)
		}
	})
}
