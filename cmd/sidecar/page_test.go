package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/collector/live"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/logtest"
	"github.com/poolgauge/poolgauge/pools"
)

var acts = flag.Bool("acts", false, "play all acts of the demo, which takes five minutes and needs an idle machine")

// session is a sidecar that runs until the test ends.
type session struct {
	page string
	log  *logtest.Buffer
	out  *logtest.Buffer
}

// begin starts a sidecar with a page.
func begin(t *testing.T, args ...string) session {
	t.Helper()
	s := session{log: &logtest.Buffer{}, out: &logtest.Buffer{}}
	args = append(args, "--page-address", "127.0.0.1:0")
	isDemo := args[0] == "demo"
	if !isDemo {
		args = append(args, "--log-level", "debug")
	}
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int)
	go func() { code <- run(ctx, args, nil, s.out, s.log) }()
	t.Cleanup(func() {
		cancel()
		if got := <-code; got != 0 {
			t.Errorf("exit code %d: %s", got, s.log.String())
		}
	})
	if isDemo {
		s.page = written(t, s.out, `(http://127\.0\.0\.1:\d+)\b`)
	} else {
		s.page = logged(t, s.log, "serving the web page", "url")
	}
	return s
}

// await reads pictures from the page until wanted returns true for one of them.
func (s session) await(t *testing.T, wanted func(*live.Picture) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.page+"/api/v1/changes", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if ctx.Err() != nil {
			t.Fatalf("the wanted picture did not arrive in time; log:\n%s", s.log.String())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		events := bufio.NewScanner(response.Body)
		events.Buffer(nil, 1<<20)
		for events.Scan() {
			data, ok := strings.CutPrefix(events.Text(), "data: ")
			var p live.Picture
			if ok && json.Unmarshal([]byte(data), &p) == nil && wanted(&p) {
				return
			}
		}
	}
}

// Without an upstream, the app's pools still appear on the page, in the summary and in check
// --warnings.
func TestPoolsAppearWithoutAnUpstream(t *testing.T) {
	s := begin(
		t,
		"--relay-grpc-address",
		"127.0.0.1:0",
		"--relay-http-address",
		"off",
		"--health-address",
		"off",
		"--interval",
		"100ms",
	)
	relay := logged(t, s.log, "receiving OTLP", "grpc")
	exporter, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithEndpointURL("http://"+relay))
	if err != nil {
		t.Fatal(err)
	}
	poolMetrics := producer.New()
	defer poolMetrics.Close()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(
		sdkmetric.NewPeriodicReader(
			exporter,
			sdkmetric.WithInterval(50*time.Millisecond),
			sdkmetric.WithProducer(poolMetrics),
		),
	))
	defer func() { _ = provider.Shutdown(context.Background()) }()
	permits, err := pools.NewSemaphore("uploads", 2, pools.SemaphoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer permits.Close()
	if err := permits.Acquire(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	uploads := func(p *live.Picture) (found live.Pool) {
		for _, pool := range p.Pools {
			if pool.Name == "uploads" {
				found = pool
			}
		}
		return found
	}
	s.await(
		t,
		func(p *live.Picture) bool { return uploads(p).Fill() == live.Known(1) && uploads(p).Level == live.Good },
	)
	waiting, giveUp := context.WithCancel(context.Background())
	acquired := make(chan error)
	go func() { acquired <- permits.Acquire(waiting, 1) }()
	defer func() {
		giveUp()
		<-acquired //nolint:errcheck // Acquire may have succeeded
	}()
	s.await(t, func(p *live.Picture) bool { return uploads(p).Level != live.Good })
	code, out, _ := execute("check", "--warnings", s.page)
	if code != exitFailed || !strings.Contains(out, "semaphore uploads of ") || !strings.Contains(out, "1 waiting") {
		t.Errorf("check --warnings: exit code %d: %s", code, out)
	}
	giveUp()
	permits.Release(2)
	s.await(t, func(p *live.Picture) bool { return uploads(p).Used == live.Known(0) })
	if !strings.Contains(s.out.String(), "uploads") {
		t.Errorf("the pool uploads is not in the summary:\n%s", s.out.String())
	}
}

// A thousand viewers that never read do not keep the relay and the page from serving other clients.
func TestViewersThatNeverReadDoNotBlockOtherClients(t *testing.T) {
	s := begin(
		t, "--relay-grpc-address", "127.0.0.1:0", "--relay-http-address", "off", "--health-address", "off",
		"--interval", "100ms",
	)
	relay := logged(t, s.log, "receiving OTLP", "grpc")
	exporter, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithEndpointURL("http://"+relay))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = exporter.Shutdown(context.Background()) }()
	for range 1000 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.page, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, "GET /api/v1/changes HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			continue // the page has closed the connection to make room
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := range 1000 {
		gauge := metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Time: time.Now(), Value: int64(i)}}}
		if err := exporter.Export(ctx, &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{
			{Metrics: []metricdata.Metrics{{Name: "load", Data: gauge}}},
		}}); err != nil {
			t.Fatalf("export %d of the app: %v", i, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.page+"/api/v1/picture", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("GET picture: status %d, want 200", response.StatusCode)
	}
}

func TestCheckWarningsExplainsErrors(t *testing.T) {
	for page, want := range map[string]string{
		"ftp://127.0.0.1:4320":     "expected the address of a sidecar's page, such as 127.0.0.1:4320",
		"http://" + freeAddress(t): "nothing is listening at 127.0.0.1",
	} {
		if code, _, stderr := execute("check", "--warnings", page); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, stderr %q, want %q", page, code, stderr, want)
		}
	}
}

// If a relay port is in use, the log names the process that listens on it, and the sidecar runs
// without the port.
func TestPortInUseIsLoggedWithTheListeningProcess(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := begin(
		t,
		"--relay-grpc-address",
		listener.Addr().String(),
		"--relay-http-address",
		"off",
		"--health-address",
		"off",
	)
	s.await(t, func(*live.Picture) bool { return true })
	if log := s.log.String(); !strings.Contains(log, "address in use") ||
		!strings.Contains(log, "sidecar.test, process ") {
		t.Errorf("the log does not name the listening process:\n%s", log)
	}
}

func TestDemoBeginsWithAPoolInTrouble(t *testing.T) {
	s := begin(t, "demo")
	start := time.Now()
	s.await(t, func(p *live.Picture) bool {
		return len(p.Pools) >= 4 && p.Pools[0].Name == "thumbnails" && p.Pools[0].Level == live.Trouble
	})
	t.Logf("a pool in trouble was on the page after %v", time.Since(start))
	s.await(t, func(p *live.Picture) bool { // every pool serves requests
		return !slices.ContainsFunc(p.Pools, func(pool live.Pool) bool { return pool.Rate.Or(0) <= 0 })
	})
	if out := s.out.String(); !strings.Contains(out, "act 1 of 5: thumbnails is too small") {
		t.Errorf("the first act is not announced in the output:\n%s", out)
	}
}

func TestDemoShowsTheVerdictOfEachAct(t *testing.T) {
	if !*acts {
		t.Skip("needs -acts")
	}
	s := begin(t, "demo")
	for _, act := range []struct{ pool, verdict string }{
		{"thumbnails", "too small"},
		{"payments", "downstream slow"},
		{"receipts", "lock contention"},
		{"connections", "leaking"},
	} {
		s.await(t, func(p *live.Picture) bool {
			worst := p.List.Worst
			if worst.Name != act.pool || worst.Verdict == "" {
				return false
			}
			if worst.Verdict != act.verdict {
				t.Errorf("pool %s: verdict %q, want %q", act.pool, worst.Verdict, act.verdict)
			}
			return true
		})
	}
}
