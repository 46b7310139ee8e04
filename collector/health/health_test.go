package health

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEndpoints(t *testing.T) {
	healthy := func() (string, error) { return "", nil }
	unhealthy := func() (string, error) { return "queue: 3 points", errors.New("the upstream is down") }
	server, err := Listen(context.Background(), "127.0.0.1:0", healthy, unhealthy)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/healthz": {200, "ok\n"},
		"/readyz":  {503, "the upstream is down\nqueue: 3 points\n"},
		"/other":   {404, "404 page not found\n"},
	} {
		response, err := client.Get("http://" + server.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != want.status || string(body) != want.body {
			t.Errorf("%s: %d %q (%v), want %d %q", path, response.StatusCode, body, err, want.status, want.body)
		}
	}
}

// Other hosts learn only whether the check succeeds, not which addresses the sidecar connects to.
func TestDetailsStayOnLoopback(t *testing.T) {
	unhealthy := func() (string, error) { return "queue: 3 points", errors.New("http://user@upstream is down") }
	for local, detailed := range map[string]bool{"127.0.0.1": true, "10.0.0.7": false} {
		r := httptest.NewRequest(http.MethodGet, "/readyz", http.NoBody)
		r = r.WithContext(
			context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(local)}),
		)
		w := httptest.NewRecorder()
		handler(unhealthy)(w, r)
		if body := w.Body.String(); w.Code != http.StatusServiceUnavailable ||
			strings.Contains(body, "upstream") != detailed ||
			strings.Contains(body, "3 points") != detailed {
			t.Errorf("request to %s: %d %q, want status 503 and details: %v", local, w.Code, body, detailed)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	healthy := func() (string, error) { return "", nil }
	first, err := Listen(context.Background(), "127.0.0.1:0", healthy, healthy)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if second, err := Listen(context.Background(), first.Addr().String(), healthy, healthy); err == nil {
		_ = second.Close()
		t.Error("two servers listen on the same address")
	}
}
