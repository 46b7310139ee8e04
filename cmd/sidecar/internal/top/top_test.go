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

// startSidecar starts a server that responds like a sidecar, with the picture that p returns. It
// returns a client for the server.
func startSidecar(t *testing.T, p func() *live.Picture) *Client {
	t.Helper()
	mux := http.NewServeMux()
	respond := func(w http.ResponseWriter, v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /api/v1/picture", func(w http.ResponseWriter, _ *http.Request) { respond(w, p()) })
	mux.HandleFunc(
		"GET /api/v1/pools/a/history",
		func(w http.ResponseWriter, _ *http.Request) { respond(w, history()) },
	)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := NewClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// terminal is a mock terminal with 80 columns and 24 rows, and its screen.
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

// waitFor waits for a text to appear on the terminal.
func (m *terminal) waitFor(t *testing.T, want string) {
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
	var broken atomic.Bool
	c := startSidecar(t, func() *live.Picture {
		if broken.Load() {
			return nil // the response is then not a picture
		}
		return picture()
	})
	m := newTerminal(t)
	done := make(chan error, 1)
	go func() { done <- Run(t.Context(), m.Screen, c, 10*time.Millisecond) }()
	m.waitFor(t, "!! payments      ██████      8/8      40")
	press := func(key tcell.Key, text string) { m.EventQ() <- tcell.NewEventKey(key, text, tcell.ModNone) }
	press(tcell.KeyEnter, "")
	m.waitFor(t, "▂▃█        8      max 8")
	press(tcell.KeyEsc, "")
	m.waitFor(t, "thumbnails")
	broken.Store(true)
	m.waitFor(t, "STALE by")
	broken.Store(false)
	m.waitFor(t, "4 pools, 1 in trouble")
	press(tcell.KeyRune, "q")
	if err := <-done; err != nil {
		t.Errorf("Run returned %v after q, want nil", err)
	}
}

func TestRunReturnsWhenItsContextIsDoneOrItsTerminalFails(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*terminal, context.CancelFunc)
		want error
	}{
		"context":  {func(_ *terminal, cancel context.CancelFunc) { cancel() }, nil},
		"terminal": {func(m *terminal, _ context.CancelFunc) { m.EventQ() <- tcell.NewEventError(io.EOF) }, errGone},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		m := newTerminal(t)
		done := make(chan error, 1)
		client := startSidecar(t, picture)
		go func() { done <- Run(ctx, m.Screen, client, time.Hour) }()
		m.waitFor(t, "payments")
		c.end(m, cancel)
		if err := <-done; !errors.Is(err, c.want) {
			t.Errorf("%s: Run returned %v, want %v", name, err, c.want)
		}
		cancel()
	}
}

// transport is a function that implements [http.RoundTripper].
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// hookedScreen is a screen that calls beforeFini when it is finalized.
type hookedScreen struct {
	tcell.Screen

	beforeFini func()
}

func (s hookedScreen) Fini() {
	s.beforeFini()
	s.Screen.Fini()
}

func TestRunWaitsForItsRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	finalized, done := make(chan struct{}), make(chan struct{})
	client, err := NewClient("h:1")
	if err != nil {
		t.Fatal(err)
	}
	client.http.Transport = transport(func(r *http.Request) (*http.Response, error) {
		defer close(done)
		cancel()
		<-r.Context().Done()
		select {
		case <-finalized:
			t.Error("the screen was finalized before the request returned")
		case <-time.After(100 * time.Millisecond):
		}
		return nil, r.Context().Err()
	})
	screen := hookedScreen{newTerminal(t).Screen, func() { close(finalized) }}
	if err := Run(ctx, screen, client, time.Hour); err != nil {
		t.Error(err)
	}
	<-done
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	if err := Print(t.Context(), &b, startSidecar(t, picture)); err != nil {
		t.Fatal(err)
	}
	expect(t, b.String(), "4 pools", "!! payments", "reports")
	if strings.Contains(b.String(), "F10") || strings.Contains(b.String(), "\x1b") {
		t.Errorf("the output contains the list of keys or escape sequences:\n%s", b.String())
	}
}

func TestClientExplainsErrors(t *testing.T) {
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
			t.Errorf("%s: got error %v, want %q", address, err, want)
		}
		c.Close()
	}
	for _, address := range []string{"", "http://", "ftp://x", "http://x/page", "a b", "://"} {
		if _, err := NewClient(address); err == nil || !strings.Contains(err.Error(), "127.0.0.1:4320") {
			t.Errorf("NewClient(%q): got error %v, want one with an example", address, err)
		}
	}
}
