package top

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gdamore/tcell/v3"
	"github.com/gdamore/tcell/v3/vt"

	"github.com/poolgauge/poolgauge/collector/live"
)

// sidecar starts a server that answers like a sidecar, and returns its client.
func sidecar(t *testing.T, p func() *live.Picture) *Client {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /api/v1/picture", func(w http.ResponseWriter, _ *http.Request) { answer(w, p()) })
	mux.HandleFunc("GET /api/v1/pools/a/history", func(w http.ResponseWriter, _ *http.Request) { answer(w, history()) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := NewClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// terminal is a mock terminal of 80 × 24, and its screen.
type terminal struct {
	vt.MockTerm
	tcell.Screen
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	mock := vt.NewMockTerm(vt.MockOptSize{X: 80, Y: 24})
	screen, err := tcell.NewTerminfoScreenFromTty(mock)
	if err != nil {
		t.Fatal(err)
	}
	return &terminal{mock, screen}
}

func (m *terminal) text() string {
	var b strings.Builder
	for y := range vt.Row(24) {
		for x := range vt.Col(80) {
			b.WriteString(m.GetCell(vt.Coord{X: x, Y: y}).C)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// until waits for a text to appear on the terminal.
func (m *terminal) until(t *testing.T, want string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(m.text(), want) {
		if time.Now().After(deadline) {
			t.Fatalf("%q did not appear; the screen is\n%s", want, m.text())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRunInATerminal(t *testing.T) {
	var gone atomic.Bool
	c := sidecar(t, func() *live.Picture {
		if gone.Load() {
			return nil // a response that is not a picture
		}
		return picture()
	})
	m := newTerminal(t)
	ended := make(chan error, 1)
	go func() { ended <- Run(t.Context(), m.Screen, c, 10*time.Millisecond) }()
	m.until(t, "!! payments      ██████      8/8      40")
	press := func(key tcell.Key, text string) { m.EventQ() <- tcell.NewEventKey(key, text, tcell.ModNone) }
	press(tcell.KeyEnter, "")
	m.until(t, "▂▃█        8      max 8")
	press(tcell.KeyEsc, "")
	m.until(t, "thumbnails")
	gone.Store(true)
	m.until(t, "STALE by")
	gone.Store(false)
	m.until(t, "4 pools, 1 in trouble")
	press(tcell.KeyRune, "q")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRunEndsWithItsContextAndWithItsTerminal(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*terminal, context.CancelFunc)
		want error
	}{
		"context":  {func(_ *terminal, cancel context.CancelFunc) { cancel() }, nil},
		"terminal": {func(m *terminal, _ context.CancelFunc) { m.EventQ() <- tcell.NewEventError(io.EOF) }, errGone},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		m := newTerminal(t)
		ended := make(chan error, 1)
		client := sidecar(t, picture)
		go func() { ended <- Run(ctx, m.Screen, client, time.Hour) }()
		m.until(t, "payments")
		c.end(m, cancel)
		if err := <-ended; !errors.Is(err, c.want) {
			t.Errorf("%s: %v, expected %v", name, err, c.want)
		}
		cancel()
	}
}

// transport is an [http.RoundTripper].
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// leaving is a screen with a function that is called at its end.
type leaving struct {
	tcell.Screen

	fini func()
}

func (s leaving) Fini() {
	s.fini()
	s.Screen.Fini()
}

func TestRunEndsAfterItsRequests(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	left, ended := make(chan struct{}), make(chan struct{})
	client, err := NewClient("h:1")
	if err != nil {
		t.Fatal(err)
	}
	client.http.Transport = transport(func(r *http.Request) (*http.Response, error) {
		defer close(ended)
		cancel()
		<-r.Context().Done()
		select {
		case <-left:
			t.Error("the terminal is left before the request has ended")
		case <-time.After(100 * time.Millisecond):
		}
		return nil, r.Context().Err()
	})
	screen := leaving{newTerminal(t).Screen, func() { close(left) }}
	if err := Run(ctx, screen, client, time.Hour); err != nil {
		t.Error(err)
	}
	<-ended
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	if err := Print(t.Context(), &b, sidecar(t, picture)); err != nil {
		t.Fatal(err)
	}
	expect(t, b.String(), "4 pools", "!! payments", "reports")
	if strings.Contains(b.String(), "F10") || strings.Contains(b.String(), "\x1b") {
		t.Errorf("keys or colors in\n%s", b.String())
	}
}

func TestClientExplains(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	other := httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }),
	)
	defer other.Close()
	missing := httptest.NewServer(http.NotFoundHandler())
	defer missing.Close()
	for address, want := range map[string]string{
		closed:      "nothing is listening at " + closed,
		other.URL:   "does not serve a sidecar page",
		missing.URL: "returned 404 Not Found",
	} {
		c, err := NewClient(address)
		if err != nil {
			t.Fatal(err)
		}
		if err := Print(t.Context(), io.Discard, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", address, err, want)
		}
		c.Close()
	}
	for _, address := range []string{"", "http://", "ftp://x", "http://x/page", "a b", "://"} {
		if _, err := NewClient(address); err == nil || !strings.Contains(err.Error(), "127.0.0.1:4320") {
			t.Errorf("%q: %v, expected an example", address, err)
		}
	}
}
