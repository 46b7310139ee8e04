package receive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// bomb returns a gibibyte of zeros, compressed to about one mebibyte. It consists of 1,024
// identical members, which gzip allows.
func bomb(t *testing.T) []byte { return bytes.Repeat(gzipped(t, make([]byte, 1<<20)), 1<<10) }

// precompressed sends messages that are already compressed.
type precompressed struct{}

func (precompressed) Do(w io.Writer, p []byte) error { _, err := w.Write(p); return err }
func (precompressed) Type() string                   { return "gzip" }

// A compressed gibibyte is refused once it exceeds the limit, and is never entirely in memory.
func TestBombs(t *testing.T) {
	body := bomb(t)
	b := start(t, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, _ := b.post(t, "/v1/metrics", body, "Content-Type", "application/x-protobuf", "Content-Encoding", "gzip")
	if r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("HTTP: got status %d, want 413", r.StatusCode)
	}
	b.checkRefused(t, refused{otlp.Metrics, 0, TooLarge})
	compressed := grpc.WithCompressor(precompressed{}) //nolint:staticcheck // no other option sends compressed data
	conn := dial(t, b.GRPCAddr().String(), compressed)
	if s, _ := export(
		t.Context(),
		conn,
		otlp.Metrics,
		body,
	); s.Code() != codes.ResourceExhausted ||
		retryDelayOf(s) != 0 {
		t.Errorf("gRPC: got %v, want ResourceExhausted without a retry delay", s)
	}
	b.checkRefused(t, refused{otlp.Metrics, 0, TooLarge})
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 100<<20 {
		t.Errorf("%d MiB were allocated, want at most 100", used>>20)
	}
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = stale.Close()

	cfg := Config{Socket: path, Log: slog.New(slog.DiscardHandler)}
	s, err := Listen(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Listen did not replace a stale socket: %v", err)
	}
	if second, err := Listen(t.Context(), cfg); err == nil {
		t.Error("Listen replaced the socket of a running server")
		_ = second.Shutdown(t.Context())
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket exists after Shutdown: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), cfg); err == nil {
		t.Error("Listen replaced a regular file")
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the regular file was removed: %v", err)
	}
}

func TestAddressInUse(t *testing.T) {
	b := start(t, nil)
	for _, cfg := range []Config{{GRPCAddress: b.GRPCAddr().String()}, {GRPCAddress: "127.0.0.1:0", HTTPAddress: b.HTTPAddr().String()}} {
		cfg.Log = slog.New(slog.DiscardHandler)
		if _, err := Listen(t.Context(), cfg); err == nil {
			t.Errorf("%+v: Listen succeeded on an address in use", cfg)
		}
	}
}

// Shutdown waits for a request in flight. If that takes too long, it aborts the request.
func TestShutdown(t *testing.T) {
	for _, graceful := range []bool{true, false} {
		entered, leave := make(chan struct{}), make(chan struct{})
		var s *Server
		s, err := Listen(t.Context(), Config{
			GRPCAddress: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
			Enrich: func(_ otlp.Signal, data []byte) ([]byte, error) { return bytes.Clone(data), nil },
			Accept: func(ctx context.Context, _ otlp.Batch) error {
				close(entered)
				select {
				case <-leave:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		conn := dial(t, s.GRPCAddr().String())
		answered := make(chan codes.Code)
		var text string
		go func() {
			status, _ := export(context.Background(), conn, otlp.Logs, record)
			text = status.Message()
			answered <- status.Code()
		}()
		<-entered
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan error)
		go func() { returned <- s.Shutdown(ctx) }()
		if graceful {
			close(leave)
		} else {
			cancel()
		}
		if code := <-answered; (code == codes.OK) != graceful {
			t.Errorf("graceful %v: the request got %v: %s", graceful, code, text)
		}
		if err := <-returned; (err == nil) != graceful {
			t.Errorf("graceful %v: Shutdown = %v", graceful, err)
		}
		cancel()
		_ = conn.Close()
	}
}

// A request whose body does not arrive in time gets status 408.
func TestSlowBody(t *testing.T) {
	b := start(t, func(_ *Config, l *limits) { l.read = 50_000_000 })
	conn, err := net.Dial("tcp", b.HTTPAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(
		conn,
		"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 9\r\n\r\n",
	); err != nil {
		t.Fatal(err)
	}
	response, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(response, []byte("HTTP/1.1 408 ")) {
		t.Errorf("got %q, %v, want status 408", response, err)
	}
	b.checkRefused(t, refused{otlp.Logs, 0, Slow})
}
