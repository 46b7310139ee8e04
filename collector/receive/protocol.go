package receive

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Every listener serves both OTLP/gRPC and OTLP/HTTP, so that an app's endpoint works whatever
// protocol its SDK uses by default. The first bytes of a connection determine which server gets it:
// HTTP/2 begins with "PRI", which is not an HTTP/1 method. With TLS, the handshake negotiates the
// protocol.

// firstBytesTimeout is how long a client may take to send its first bytes.
const firstBytesTimeout = 10 * time.Second

// protocolListener is the listener of one protocol's server. It returns the connections of all real
// listeners on which clients speak that protocol.
type protocolListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newProtocolListener() *protocolListener {
	return &protocolListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *protocolListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It does not close the real listeners.
func (l *protocolListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *protocolListener) Addr() net.Addr { return &net.TCPAddr{} }

// offer passes c to Accept, or closes c if l is closed.
func (l *protocolListener) offer(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.closed:
		_ = c.Close()
	}
}

// accept passes the connections of l to the servers until l is closed.
func (s *Server) accept(l *connections) {
	for {
		c, err := l.accept()
		switch {
		case err == nil:
			s.serving.Go(func() { s.dispatch(c) })
		case errors.Is(err, net.ErrClosed):
			return
		default: // such as too many open files
			s.hints.warn(l.name, "cannot accept connections", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.ending.Done():
			}
		}
	}
}

// dispatch passes c to the server for the client's protocol, or closes c if that is unknown.
func (s *Server) dispatch(c *conn) {
	stop := context.AfterFunc(s.ending, func() { _ = c.Close() })
	// This fails only if the connection is closed, and then the next read fails, too.
	_ = c.SetDeadline(time.Now().Add(min(firstBytesTimeout, s.gate.read)))
	l, accepted := s.protocolOf(c)
	stop() // before the server gets c, which may already be in use when offer returns
	if l == nil {
		_ = c.Close()
		return
	}
	_ = c.SetDeadline(time.Time{})
	l.offer(accepted)
}

// protocolOf returns the listener for the protocol that the client speaks, and the connection to
// pass to that listener. The listener is nil if the client speaks no known protocol.
func (s *Server) protocolOf(c *conn) (*protocolListener, net.Conn) {
	if !c.readFirst() {
		return nil, nil
	}
	handshake := c.first[0] == 0x16 // the first byte of a TLS handshake
	address := c.listener.Addr().String()
	switch {
	case handshake && c.listener.secured:
		return s.afterHandshake(c)
	case handshake:
		s.hints.warn(
			c.listener.name,
			"a client uses TLS, but this listener does not",
			"fix",
			"set the client's endpoint to http://"+address+", or set OTEL_EXPORTER_OTLP_INSECURE=true",
		)
	case c.listener.secured:
		s.hints.warn(
			c.listener.name,
			"a client does not use TLS, but this listener requires it",
			"fix",
			"set the client's endpoint to https://"+address,
		)
	case string(c.first) == "PRI":
		return s.forGRPC, c
	case c.first[0] >= 'A' && c.first[0] <= 'Z':
		return s.forHTTP, c
	default:
		s.hints.warn(
			c.listener.name,
			"a client speaks neither OTLP/gRPC nor OTLP/HTTP",
			"fix",
			"set the client's exporter to otlp",
		)
	}
	return nil, nil
}

// readFirst reads the bytes that identify the protocol, and reports whether they arrived. It keeps
// them in c.first, so that the server can read them again.
func (c *conn) readFirst() bool {
	for len(c.first) < len("PRI") {
		var next [1]byte
		if _, err := c.Conn.Read(next[:]); err != nil {
			return false
		}
		if c.first = append(c.first, next[0]); c.first[0] != 'P' {
			break
		}
	}
	return true
}

// afterHandshake is like protocolOf, but for a connection to a TLS listener. The TLS handshake
// negotiates the protocol, which is HTTP/1 by default.
func (s *Server) afterHandshake(c *conn) (*protocolListener, net.Conn) {
	secured := tls.Server(
		c,
		&tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			config, err := s.cfg.TLS()
			if err != nil {
				return nil, err
			}
			config = config.Clone()
			config.NextProtos = []string{"h2", "http/1.1"}
			return config, nil
		}},
	)
	if err := secured.HandshakeContext(s.ending); err != nil {
		s.cfg.Log.Debug("TLS handshake failed", "receiver", c.listener.name, "error", err)
		return nil, nil
	}
	if secured.ConnectionState().NegotiatedProtocol == "h2" {
		return s.forGRPC, secured
	}
	return s.forHTTP, secured
}

// knownPaths returns a handler that passes requests on to next, and logs a hint if a client
// requests a path that OTLP does not define.
func (s *Server) knownPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*conn)
		if ok &&
			!slices.ContainsFunc(otlp.Signals(), func(signal otlp.Signal) bool { return signal.Path() == r.URL.Path }) {
			s.hints.warn(
				c.listener.name,
				"a client requests a path that OTLP does not define",
				"path",
				cut(r.URL.Path),
				"fix",
				"set OTEL_EXPORTER_OTLP_ENDPOINT without a path, or the endpoint of a single signal with "+
					"/v1/metrics, /v1/traces or /v1/logs",
			)
		}
		next.ServeHTTP(w, r)
	})
}

// cut shortens text, which a client sent, for the log.
func cut(text string) string { return text[:min(len(text), 80)] }

// hints logs warnings about misconfigured clients, at most once a minute per listener.
type hints struct {
	log *slog.Logger

	mu     sync.Mutex // guards everything below
	logged map[string]time.Time
}

func newHints(log *slog.Logger) *hints { return &hints{log: log, logged: map[string]time.Time{}} }

func (h *hints) warn(receiver, what string, more ...any) {
	h.mu.Lock()
	last, before := h.logged[receiver]
	due := !before || time.Since(last) >= time.Minute
	if due {
		h.logged[receiver] = time.Now()
	}
	h.mu.Unlock()
	if due {
		more = append([]any{"receiver", receiver}, more...)
		h.log.Warn(what, more...) //nolint:sloglint // callers pass constants
	}
}
