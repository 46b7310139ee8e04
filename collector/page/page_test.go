package page

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/collector/live"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves the picture of l on a free port.
func start(t *testing.T, l *live.Live) (s *Server, url string) {
	t.Helper()
	s, err := Listen(context.Background(), Config{Address: "127.0.0.1:0", Hosts: []string{"sidecar.example"}, Live: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, "http://" + s.Addr().String()
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get sends a request. headers are pairs of names and values, and may include Host.
func get(t *testing.T, method, url string, headers ...string) (status int, header http.Header, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

func TestServes(t *testing.T) {
	_, url := start(t, withPool(t))
	for path, want := range map[string][2]string{
		"/":                       {"text/html; charset=utf-8", "<title>poolgauge</title>"},
		"/assets/page.js":         {"text/javascript; charset=utf-8", "EventSource"},
		"/assets/page.css":        {"text/css; charset=utf-8", "--ground"},
		"/assets/icon.svg":        {"image/svg+xml", "<svg"},
		"/api/v1/picture":         {"application/json", `"name":"orders"`},
		"/metrics":                {"text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "poolgauge_pool_limit{"},
		"/api/v1/pools/x/history": {"text/plain; charset=utf-8", "no such pool"},
		"/assets/../page.go":      {"text/plain; charset=utf-8", "404"},
	} {
		_, header, body := get(t, http.MethodGet, url+path)
		if header.Get("Content-Type") != want[0] || !strings.Contains(body, want[1]) {
			t.Errorf("%s: got content type %q, want %q, and\n%.300s", path, header.Get("Content-Type"), want, body)
		}
		if !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'") {
			t.Errorf("%s: no Content-Security-Policy in %v", path, header)
		}
	}
}

func TestSelectionOfPools(t *testing.T) {
	l := withPool(t)
	offer(t, l, "mail")
	_, url := start(t, l)
	for query, want := range map[string]string{
		"":                                   "mail orders",
		"?sort=worst":                        "mail orders",
		"?filter=ORD":                        "orders",
		"?limit=2147483647":                  "mail orders",
		"?sort=name&limit=1":                 "mail",
		"?sort=name&from=1&limit=1":          "orders",
		"?sort=name&limit=1&keep=x,%s":       "orders",
		"?sort=name&limit=1&keep=&also=%s&x": "mail orders",
	} {
		var all, got live.Picture
		read := func(query string, p *live.Picture) {
			_, _, body := get(t, http.MethodGet, url+"/api/v1/picture"+query)
			if err := json.Unmarshal([]byte(body), p); err != nil {
				t.Fatalf("%s: %v: %s", query, err, body)
			}
		}
		read("?sort=name", &all)
		read(strings.ReplaceAll(query, "%s", all.Pools[1].ID), &got)
		names := make([]string, len(got.Pools))
		for i, q := range got.Pools {
			names[i] = q.Name
		}
		if strings.Join(names, " ") != want || got.List.Pools != 2 {
			t.Errorf("%q: got pools %v, want %s; list %+v", query, names, want, got.List)
		}
	}
	for query, want := range map[string]string{
		"sort=size": `sort="size": expected one of worst, fill, name, oldest, rate`,
		"from=-1":   `from="-1": expected a whole number`,
		"limit=ten": `limit="ten": expected a whole number`,
	} {
		for _, path := range []string{"picture", "changes"} {
			status, _, body := get(t, http.MethodGet, url+"/api/v1/"+path+"?"+query)
			if status != http.StatusBadRequest || strings.TrimSpace(body) != want {
				t.Errorf("%s?%s: got status %d and %q, want 400 and %q", path, query, status, body, want)
			}
		}
	}
}

func TestHistory(t *testing.T) {
	l := withPool(t)
	_, url := start(t, l)
	_, _, body := get(t, http.MethodGet, url+"/api/v1/pools/"+l.Picture().Pools[0].ID+"/history")
	var h live.History
	if err := json.Unmarshal([]byte(body), &h); err != nil || len(h.Used) == 0 || len(h.Waits.Bounds) == 0 {
		t.Errorf("got error %v and incomplete history %s", err, body)
	}
}

// Requests that another site may have caused a browser to send are rejected, and so are methods
// that could modify something.
func TestGuard(t *testing.T) {
	s, url := start(t, withPool(t))
	_, port, _ := net.SplitHostPort(s.Addr().String())
	for _, path := range []string{"/", "/api/v1/picture", "/api/v1/changes?x", "/metrics"} {
		for _, c := range []struct {
			name, method string
			want         int
			headers      []string
		}{
			{"another name", "GET", 403, []string{"Host", "evil.example:" + port}},
			{"a name that begins with localhost", "GET", 403, []string{"Host", "localhost.evil.example"}},
			{"no name", "GET", 403, []string{"Host", ":80"}},
			{"another origin", "GET", 403, []string{"Origin", "http://evil.example"}},
			{"another port", "GET", 403, []string{"Origin", "http://127.0.0.1:1"}},
			{"cross-site fetch", "GET", 403, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}},
			{"post", "POST", 405, nil},
			{"preflight", "OPTIONS", 405, []string{"Origin", "http://evil.example"}},
			{"delete", "DELETE", 405, nil},
		} {
			status, header, body := get(t, c.method, url+path, c.headers...)
			if status != c.want || header.Get("Access-Control-Allow-Origin") != "" || strings.Contains(body, "orders") {
				t.Errorf("%s, %s: got status %d, want %d: %.100s", c.name, path, status, c.want, body)
			}
		}
	}
	for _, host := range []string{"localhost:" + port, "LOCALHOST", "127.0.0.1:" + port, "[::1]:" + port, "10.1.2.3", "sidecar.example:" + port} {
		if status, _, _ := get(
			t,
			http.MethodGet,
			url+"/api/v1/picture",
			"Host",
			host,
			"Origin",
			"http://"+host,
		); status != 200 {
			t.Errorf("Host %s: got status %d, want 200", host, status)
		}
	}
	if status, _, _ := get(
		t,
		http.MethodGet,
		url+"/",
		"Sec-Fetch-Site",
		"cross-site",
		"Sec-Fetch-Mode",
		"navigate",
	); status != 200 {
		t.Errorf("a link to the page: got status %d, want 200", status)
	}
}

// A viewer gets the picture immediately, and again after each change.
func TestChanges(t *testing.T) {
	l := live.New(live.Config{})
	_, url := start(t, l)
	response, err := client.Get(url + "/api/v1/changes")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	events := bufio.NewScanner(response.Body)
	events.Buffer(nil, 1<<20)
	next := func() string {
		for events.Scan() {
			if data, ok := strings.CutPrefix(events.Text(), "data: "); ok {
				return data
			}
		}
		t.Fatal(events.Err())
		return ""
	}
	if first := next(); !strings.Contains(first, `"pools":[]`) {
		t.Errorf("first event: got %s, want no pools", first)
	}
	offer(t, l, "orders")
	if second := next(); !strings.Contains(second, `"name":"orders"`) {
		t.Errorf("second event: got %s, want the pool orders", second)
	}
}

// Viewers that never read do not keep other requests from being answered. Their handlers return
// when the server is closed.
func TestViewersThatDoNotRead(t *testing.T) {
	l := withPool(t)
	s, url := start(t, l)
	for range maxViewers {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, "GET /api/v1/changes HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil { // the client is a viewer once the response begins
			t.Fatal(err)
		}
	}
	if status, header, _ := get(
		t,
		http.MethodGet,
		url+"/api/v1/changes",
	); status != 503 ||
		header.Get("Retry-After") == "" {
		t.Errorf("one more viewer: got status %d, want 503 with Retry-After", status)
	}
	begin := time.Now()
	for range 1000 {
		offer(t, l, "orders")
	}
	if status, _, _ := get(t, http.MethodGet, url+"/api/v1/picture"); status != 200 {
		t.Errorf("/api/v1/picture: got status %d, want 200", status)
	}
	t.Logf("1000 requests of the app with %d viewers that do not read took %v", maxViewers, time.Since(begin))
}

// Connections that never send a request are limited and counted. They keep neither viewers nor
// programs from being served.
func TestSilentConnections(t *testing.T) {
	const silent = 1000
	l := withPool(t)
	s, url := start(t, l)
	connect := func() net.Conn {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	viewer := connect()
	if _, err := io.WriteString(viewer, "GET /api/v1/changes HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	events := bufio.NewReader(viewer)
	next := func() {
		for line := ""; !strings.HasPrefix(line, "data: "); {
			var err error
			if line, err = events.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	next()
	for range silent {
		connect()
	}
	if status, _, _ := get(t, http.MethodGet, url+"/api/v1/picture"); status != 200 {
		t.Errorf("/api/v1/picture: got status %d, want 200", status)
	}
	// the viewer and the request for the picture have connections too
	if got := s.conns.refused.Load(); got != silent+2-maxConnections {
		t.Errorf("%d connections were closed, want %d", got, silent+2-maxConnections)
	}
	next()
}

func FuzzGuard(f *testing.F) {
	f.Add("GET", "/metrics", "", "localhost:1", "http://localhost:1", "same-origin")
	f.Add("GET", "/api/v1/picture", "from=9&limit=2&sort=fill&keep=a,,b&filter=%zz", "localhost:1", "", "")
	f.Add("POST", "/", "", "[::1", "null", "cross-site")
	f.Add("HEAD", "/assets/%2e%2e/page.go", "", "127.0.0.1.", "", "")
	l := live.New(live.Config{})
	// no viewers are allowed, because their responses would never end
	s := &Server{cfg: Config{Live: l}, viewers: make(chan struct{})}
	s.shared.live = l
	handler := s.handler()
	f.Fuzz(func(t *testing.T, method, path, query, host, origin, site string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.URL.Path, r.URL.RawQuery, r.Host = method, path, query, host
		r.Header.Set("Origin", origin)
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == 200 && (method != "GET" && method != "HEAD" || !allowed(nil, host)) {
			t.Errorf("%s %s with Host %q: got status 200, want a rejection", method, path, host)
		}
		if w.Header().Get("Content-Security-Policy") == "" {
			t.Error("the response has no Content-Security-Policy")
		}
	})
}
