package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

func TestMain(m *testing.M) {
	_ = os.Unsetenv("DATABASE_URL") // the tests use their own databases
	goleak.VerifyTestMain(m)
}

// running is a running service and the telemetry that it has exported.
type running struct {
	url    string
	file   string // the SQLite database
	stop   context.CancelFunc
	code   chan int
	stderr bytes.Buffer

	mu     sync.Mutex // guards the fields below
	points map[string]float64
	names  map[string]string // the latest metric, by service.name
}

// runOrders starts the program as a user would, with an OTLP receiver in place of the sidecar.
func runOrders(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{
		file:   filepath.Join(t.TempDir(), "orders.db"),
		code:   make(chan int, 1),
		points: map[string]float64{},
		names:  map[string]string{},
	}
	receiver, err := otlptest.Start("127.0.0.1:0", r.receive)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(receiver.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+receiver.Addr)
	t.Setenv("OTEL_SERVICE_NAME", "orders")
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	stdout, writer := io.Pipe()
	go func() {
		r.code <- run(ctx, append([]string{"serve", "-listen", "127.0.0.1:0", "-sqlite", r.file, "-payment-latency", "1ms", "-admission", "1m"}, args...), writer, &r.stderr)
		_ = writer.Close()
	}()
	if _, err := fmt.Fscanf(stdout, "orders: serving %s payments", &r.url); err != nil {
		t.Fatalf("the service did not start: %v; exit code %d: %s", err, <-r.code, r.stderr.String())
	}
	r.url = strings.TrimSuffix(r.url, ",")
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return r
}

// receive stores the latest value of each series; for a histogram, that is its count.
func (r *running) receive(_ context.Context, request *otlptest.Request) (*otlptest.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range otlptest.Points(request) {
		r.names[p.Resource["service.name"]] = p.Metric
		key := p.Metric
		for _, a := range []string{"name", "kind", "state", "outcome", "event"} {
			if v := p.Attributes["poolgauge.pool."+a]; v != "" {
				key += " " + v
			}
		}
		r.points[key] = p.Value
		if p.Count > 0 {
			r.points[key] = float64(p.Count)
		}
	}
	return &otlptest.Response{}, nil
}

// finish stops the service as SIGTERM does, and checks the final values in its telemetry.
func (r *running) finish(t *testing.T, want map[string]float64) {
	t.Helper()
	r.stop()
	if code := <-r.code; code != 0 {
		t.Fatalf("exit code %d: %s", code, r.stderr.String())
	}
	for key, v := range want {
		if got, ok := r.points[key]; !ok || got != v {
			t.Errorf("%s is %v (reported: %v), want %v", key, got, ok, v)
		}
	}
	if t.Failed() {
		t.Logf("all points: %v", r.points)
	}
}

func (r *running) post(t *testing.T, want int) order {
	t.Helper()
	response, err := http.Post(r.url+"/orders", "application/json", strings.NewReader(`{"item": "tea", "cents": 350}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		t.Fatalf("POST /orders: got %s, %s, error %v; want %d", response.Status, text, err, want)
	}
	var o order
	if want == http.StatusAccepted {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (r *running) get(t *testing.T, path string, want int) string {
	t.Helper()
	response, err := http.Get(r.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != want {
		t.Errorf("GET %s: got %s, want %d", path, response.Status, want)
	}
	return string(text)
}

// states counts the orders of the stopped service by state.
func (r *running) states(t *testing.T) map[string]int {
	t.Helper()
	db, err := openStore(t.Context(), os.Getenv("DATABASE_URL"), r.file, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT state, count(*) FROM orders GROUP BY state")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	states := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			t.Fatal(err)
		}
		states[state] = n
	}
	return states
}

// Every accepted order is processed before the service exits, and the metrics of every pool match
// the requests made.
func TestMetricsMatchTheRequests(t *testing.T) {
	r := runOrders(t, "-workers", "3", "-queue", "100", "-payment-permits", "2", "-db-conns", "2")
	const n = 25
	var last order
	for range n {
		last = r.post(t, http.StatusAccepted)
	}
	if got := r.get(t, "/orders/"+last.ID, http.StatusOK); !strings.Contains(got, `"item":"tea","cents":350`) {
		t.Errorf("the last order is %s, want tea for 350 cents", got)
	}
	r.get(t, "/orders/none", http.StatusNotFound)
	r.get(t, "/healthz", http.StatusOK)
	r.finish(t, map[string]float64{
		"poolgauge.pool.limit orders worker":                              3,
		"poolgauge.pool.pending orders worker":                            0,
		"poolgauge.pool.usage orders worker used":                         0,
		"poolgauge.pool.requests orders worker acquired":                  n,
		"poolgauge.pool.requests orders worker timeout":                   0,
		"poolgauge.pool.wait.duration orders worker acquired":             n,
		"poolgauge.pool.completed orders worker ok":                       n,
		"poolgauge.pool.completed orders worker error":                    0,
		"poolgauge.pool.limit payments semaphore":                         2,
		"poolgauge.pool.usage payments semaphore used":                    0,
		"poolgauge.pool.requests payments semaphore acquired":             n,
		"poolgauge.pool.wait.duration payments semaphore acquired":        n,
		"poolgauge.pool.completed payments semaphore ok":                  n,
		"poolgauge.pool.limit receipt-printers resource":                  1,
		"poolgauge.pool.requests receipt-printers resource acquired":      n,
		"poolgauge.pool.completed receipt-printers resource ok":           n,
		"poolgauge.pool.resources receipt-printers resource created":      1,
		"poolgauge.pool.create.duration receipt-printers resource":        1,
		"poolgauge.pool.wait.duration receipt-printers resource acquired": n,
		"poolgauge.pool.limit orders-db sql":                              2,
		"poolgauge.pool.usage orders-db sql used":                         0,
		"poolgauge.pool.limit payments-http http":                         2,
		"poolgauge.pool.requests payments-http http acquired":             n,
		"poolgauge.pool.completed payments-http http ok":                  n,
		"poolgauge.pool.completed payments-http http error":               0,
		"poolgauge.pool.use.duration payments-http http":                  n,
		"poolgauge.pool.wait.duration payments-http http acquired":        n,
		"poolgauge.pool.usage payments-http http used":                    0,
		"poolgauge.pool.pending payments-http http":                       0,
	})
	if created := r.points["poolgauge.pool.resources payments-http http created"]; created < 1 || created > 2 {
		t.Errorf("%v connections to the payment service were created, want 1 or 2", created)
	}
	accepted, used := r.points["poolgauge.pool.requests orders-http http acquired"], r.points["poolgauge.pool.usage orders-http http used"]
	if done := r.points["poolgauge.pool.completed orders-http http ok"]; accepted < 1 || accepted > n+3 ||
		accepted-done != used {
		t.Errorf("%v connections were accepted and %v closed, but %v are open", accepted, done, used)
	}
	if idle := r.points["poolgauge.pool.usage orders-db sql idle"]; idle < 1 || idle > 2 {
		t.Errorf("%v database connections are idle, want 1 or 2", idle)
	}
	if r.points["go.goroutine.count"] == 0 {
		t.Error("the metrics of the Go runtime are not reported")
	}
	if len(r.names) != 1 || r.names["orders"] == "" {
		t.Errorf("metrics by service.name: %v, want only those of orders", r.names)
	}
	if got := r.states(t); got[paid] != n || len(got) != 1 {
		t.Errorf("orders: %v, want %d paid", got, n)
	}
}

// Orders whose payments fail count as uses that end in an error.
func TestFailedPaymentsAreFailedUses(t *testing.T) {
	r := runOrders(t, "-payment-errors", "1")
	for range 5 {
		r.post(t, http.StatusAccepted)
	}
	r.finish(t, map[string]float64{
		"poolgauge.pool.completed orders worker error":        5,
		"poolgauge.pool.completed orders worker ok":           0,
		"poolgauge.pool.requests payments semaphore acquired": 5,
		// the response is an error, but the request got its connection
		"poolgauge.pool.requests payments-http http acquired": 5,
	})
	if got := r.states(t); got[failed] != 5 || len(got) != 1 {
		t.Errorf("orders: %v, want 5 failed", got)
	}
}

// A full queue rejects orders, and the metrics show it.
func TestFullQueueRejectsOrders(t *testing.T) {
	arrived, release := make(chan bool), make(chan bool)
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- true
		<-release
	}))
	defer slow.Close()
	r := runOrders(t, "-workers", "1", "-queue", "1", "-payments", slow.URL, "-admission", "1ms")
	r.post(t, http.StatusAccepted)
	<-arrived                      // the worker is busy
	r.post(t, http.StatusAccepted) // this order waits
	r.post(t, http.StatusServiceUnavailable)
	r.post(t, http.StatusServiceUnavailable)
	go func() { <-arrived }()
	close(release)
	r.finish(t, map[string]float64{
		"poolgauge.pool.requests orders worker acquired":     2,
		"poolgauge.pool.requests orders worker timeout":      2,
		"poolgauge.pool.wait.duration orders worker timeout": 2,
		"poolgauge.pool.completed orders worker ok":          2,
	})
	if got := r.states(t); got[paid] != 2 || got[rejected] != 2 {
		t.Errorf("orders: %v, want 2 paid and 2 rejected", got)
	}
}

// Orders that a killed service had accepted are processed after its restart.
func TestAcceptedOrdersOfAKilledServiceAreProcessed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "left.db")
	db, err := openStore(t.Context(), "", file, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.insert(t.Context(), order{ID: "left", Item: "tea", Cents: 1, State: accepted}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r := runOrders(t, "-sqlite", file)
	r.file = file
	r.finish(t, map[string]float64{"poolgauge.pool.completed orders worker ok": 1})
	if got := r.states(t); got[paid] != 1 {
		t.Errorf("orders: %v, want 1 paid", got)
	}
}

func TestLoadCountsTheResponses(t *testing.T) {
	r := runOrders(t)
	var stdout, stderr bytes.Buffer
	if code := run(
		t.Context(),
		[]string{"load", "-target", r.url, "-rate", "1000", "-duration", "100ms"},
		&stdout,
		&stderr,
	); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var sent, ok int
	var seconds, rate float64
	if _, err := fmt.Sscanf(
		stdout.String(),
		"orders: %d sent in %f s (%f per second): %d accepted, 0 rejected, 0 failed",
		&sent,
		&seconds,
		&rate,
		&ok,
	); err != nil || sent == 0 ||
		ok != sent {
		t.Errorf("load printed %q, want all orders accepted (error: %v)", stdout.String(), err)
	}
	r.finish(t, map[string]float64{"poolgauge.pool.completed orders worker ok": float64(ok)})
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"swerve"}, `unknown command "swerve"`},
		{[]string{"-workers", "0"}, "-workers: expected at least 1, got 0"},
		{[]string{"payments", "-payment-errors", "2"}, "expected a share from 0 to 1"},
		{[]string{"load", "now"}, `expected flags only, got "now"`},
		{[]string{"load", "-rate", "0"}, "expected a -rate"},
	} {
		var stderr bytes.Buffer
		if code := run(
			t.Context(),
			c.args,
			io.Discard,
			&stderr,
		); code != 2 ||
			!strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: exit code %d, %s; want 2 and %s", c.args, code, stderr.String(), c.want)
		}
	}
}

// The instrumentation takes at most ten lines. Every line that would be deleted together with
// poolgauge's instrument packages is marked. The pools themselves are part of the program.
func TestInstrumentationTakesTenLinesAtMost(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	touches := regexp.MustCompile(`\b(instrument|telemetry|wrapsql|wraphttp|otel)\b`)
	marked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			code, comment, _ := strings.Cut(line, "// ")
			if comment == "poolgauge" {
				marked++
			} else if touches.MatchString(code) {
				t.Errorf("%s:%d: unmarked instrumentation: %s", file, i+1, line)
			}
		}
	}
	if marked == 0 || marked > 10 {
		t.Errorf("%d lines are marked, want 1 to 10", marked)
	}
}
