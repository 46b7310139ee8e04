package export

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/compress"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

func TestHTTPSendsBytesAsTheyAre(t *testing.T) {
	data := bytes.Repeat([]byte("\xfa\x3f\x03any"), 50_000)
	for _, encoding := range []string{"", compress.Gzip, compress.Zstd} {
		got := make(chan received, 3)
		s := serveHTTP(t, func(_ http.ResponseWriter, r *http.Request) {
			all, _ := io.ReadAll(r.Body)
			if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
				all, _ = compress.Unpack(encoding, all, 1<<20)
			}
			got <- received{r.Method + " " + r.URL.Path, r.Header, all}
		})
		for i, want := range []string{"POST /v1/metrics", "POST /x/v1/traces", "POST /"} {
			c := dial(t, Config{
				Protocol:    HTTPProtobuf,
				Compression: encoding,
				UserAgent:   "poolgauge-sidecar/9",
				URL:         s.URL + strings.TrimPrefix(want, "POST "),
				Headers:     fixedHeaders(map[string]string{"tenant": "m", "content-type": "other"}),
			})
			equal(t, "result", mustSend(t, c, otlp.Batch{Signal: otlp.Signals()[i], Points: 1, Data: data}), Result{})
			r := <-got
			header := http.Header(r.header)
			equal(t, "path", r.to, want)
			equal(t, "type", header.Get("Content-Type"), "application/x-protobuf")
			equal(t, "user agent", header.Get("User-Agent"), "poolgauge-sidecar/9")
			equal(t, "tenant", header.Get("Tenant"), "m")
			equal(t, "encoding", header.Get("Content-Encoding"), encoding)
			equal(t, "data unchanged", bytes.Equal(r.body, data), true)
		}
	}
}

// Idle connections are closed, so that neither an upstream nor a proxy in front of it has to keep
// them open.
func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := newTransport(&Config{TLS: func() (*tls.Config, error) { return nil, nil }}) //nolint:nilnil // none
		transport.Proxy = nil
		closed := make(chan struct{})
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer close(closed)
				in := bufio.NewReader(far)
				if _, err := http.ReadRequest(in); err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				_, _ = in.ReadByte() // until the other side closes it
				_ = far.Close()
			}()
			return near, nil
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://h/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "close", response.Body.Close(), nil)
		begin := time.Now()
		select {
		case <-closed:
			equal(t, "closed after", time.Since(begin), 90*time.Second)
		case <-time.After(time.Hour):
			t.Error("an idle connection was still open after an hour")
			transport.CloseIdleConnections()
			<-closed
		}
	})
}

func TestCloseClosesTheConnections(t *testing.T) {
	closed := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	s.Start()
	defer s.Close()
	c, err := Dial(Config{Protocol: HTTPProtobuf, URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	mustSend(t, c, metrics("a"))
	equal(t, "close", c.Close(), nil)
	select {
	case <-closed:
	case <-time.After(30 * time.Second): // the transport closes idle connections after 90 s
		t.Error("the connection is still open after Close")
	}
}

// Every code is retried as specified, except that some of the permanent ones are held, and some are
// attributed to the content of the request. Redirects are not followed.
func TestHTTPCodes(t *testing.T) {
	kinds := map[int]Kind{
		429: Passing,
		502: Passing,
		503: Passing,
		504: Passing,
		413: Large,
		400: Invalid,
		422: Invalid,
		500: Split,
	}
	for code := 300; code < 600; code++ {
		if http.StatusText(code) == "" {
			continue
		}
		f := failureOfCode(t, code, http.Header{"Location": {"/elsewhere"}, "Retry-After": {"7"}}, nil)
		kind, ok := kinds[code]
		if !ok {
			kind = Held
		}
		var after time.Duration
		if kind == Passing {
			after = 7 * time.Second
		}
		if f.Kind != kind || f.After != after || f.Reason != fmt.Sprint(code) {
			t.Errorf("%d: got %+v, want kind %v, after %v", code, f, kind, after)
		}
	}
}

// failureOfCode sends to a server that responds with a code, and returns the failure.
func failureOfCode(t *testing.T, code int, header http.Header, body []byte) *Failure {
	t.Helper()
	requests := 0
	s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(code)
		if code >= 400 {
			_, _ = w.Write(body)
		}
	})
	f := mustFail(t, context.Background(), dial(t, Config{Protocol: HTTPProtobuf, URL: s.URL}), metrics("x"))
	s.Close()
	equal(t, "requests", requests, 1)
	return f
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-7": 0, "1.5": 0, "soon": 0, "99999999999999999999": 0,
		"2147483647":                    maxRetryAfter,
		"Wed, 25 Nov 2026 12:00:09 GMT": 9 * time.Second,
		"Wed, 25 Nov 2026 11:00:00 GMT": 0,
		"Wed, 25 Nov 2099 12:00:00 GMT": maxRetryAfter,
	} {
		equal(t, "Retry-After: "+header, capRetryAfter(retryAfter(header, now)), want)
	}
}

// The upstream's message is logged, shortened to fit on one line.
func TestHTTPExplanation(t *testing.T) {
	status, err := proto.Marshal(&statuspb.Status{Code: 3, Message: "point 7 is\nmalformed"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind, body, want string
	}{
		{"application/x-protobuf", string(status), "400 Bad Request: point 7 is malformed"},
		{"application/x-protobuf; charset=x", string(status), "400 Bad Request: point 7 is malformed"},
		{"application/x-protobuf", "\xff", "400 Bad Request"},
		{"text/plain; charset=utf-8", "no such\ntenant\n", "400 Bad Request: no such tenant"},
		{"text/html", "<html>", "400 Bad Request"},
		{"text/plain", strings.Repeat("é", 40_000), "400 Bad Request: " + strings.Repeat("é", 241) + "�…"},
	} {
		f := failureOfCode(t, 400, http.Header{"Content-Type": {c.kind}}, []byte(c.body))
		equal(t, c.kind, f.Error(), c.want)
	}
}

func TestHTTPResponses(t *testing.T) {
	for name, c := range map[string]struct {
		code int
		kind string
		body []byte
		want Result
	}{
		"nothing":        {200, "application/x-protobuf", nil, Result{}},
		"no content":     {204, "", nil, Result{}},
		"partial":        {200, "application/x-protobuf", partial(t, 2, "too old"), Result{2, "too old"}},
		"only a message": {200, "application/x-protobuf", partial(t, 0, "deprecated"), Result{0, "deprecated"}},
		"not OTLP":       {200, "application/x-protobuf", []byte("\xff"), Result{0, "the response is not OTLP"}},
		"not protobuf":   {202, "text/plain", []byte("\x0a\x02\x08\x07"), Result{}},
		"endless":        {200, "application/x-protobuf", make([]byte, 1<<20), Result{0, "the response is not OTLP"}},
	} {
		s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.code)
			if len(c.body) > 0 {
				_, _ = w.Write(c.body)
			}
		})
		equal(t, name, mustSend(t, dial(t, Config{Protocol: HTTPProtobuf, URL: s.URL}), metrics("x")), c.want)
	}
}

// An HTML page, such as a proxy's login page, is not an OTLP response, so the request counts as
// failed and is held.
func TestHTMLPageIsAFailure(t *testing.T) {
	s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<html>log in</html>")
	})
	f := mustFail(t, context.Background(), dial(t, Config{Protocol: HTTPProtobuf, URL: s.URL}), metrics("x"))
	if f.Kind != Held || f.Reason != "html" {
		t.Errorf("got %+v, want reason html and kind Held", f)
	}
}

func TestHTTPBrokenConnections(t *testing.T) {
	s := serveHTTP(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	p := newProxy(t, strings.TrimPrefix(s.URL, "http://"))
	testBrokenConnections(t, p, dial(t, Config{Protocol: HTTPProtobuf, URL: "http://" + p.addr}), "timeout")
}

func TestHTTPNothingListens(t *testing.T) {
	l := listen(t, "")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f := mustFail(
		t,
		context.Background(),
		dial(t, Config{Protocol: HTTPProtobuf, URL: "http://" + l.Addr().String()}),
		metrics("x"),
	)
	if !retryable(f) || f.Reason != "connection" {
		t.Errorf("got %+v, want reason connection, retryable", f)
	}
}
