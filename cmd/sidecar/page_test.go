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

var acts = flag.Bool("acts", false, "play all acts of the demo: five minutes, on an idle machine")

// session is a sidecar that runs until the end of the test.
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
		answer, err := client.Do(request)
		if ctx.Err() != nil {
			t.Fatalf("no such picture arrived; log: %s", s.log.String())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = answer.Body.Close() })
		events := bufio.NewScanner(answer.Body)
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

// Without an upstream, a pool of the app is on the page, in the summary and in check --warnings.
func TestPoolsShowWithoutAnUpstream(t *testing.T) {
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
	takes := logged(t, s.log, "receiving OTLP", "grpc")
	exporter, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithEndpointURL("http://"+takes))
	if err != nil {
		t.Fatal(err)
	}
	ours := producer.New()
	defer ours.Close()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(
		sdkmetric.NewPeriodicReader(
			exporter,
			sdkmetric.WithInterval(50*time.Millisecond),
			sdkmetric.WithProducer(ours),
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
	uploads := func(p *live.Picture) (q live.Pool) {
		for _, one := range p.Pools {
			if one.Name == "uploads" {
				q = one
			}
		}
		return q
	}
	s.await(
		t,
		func(p *live.Picture) bool { return uploads(p).Fill() == live.Known(1) && uploads(p).Level == live.Good },
	)
	waiting, giveUp := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- permits.Acquire(waiting, 1) }()
	defer func() {
		giveUp()
		<-ended //nolint:errcheck // it may have acquired the permit
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
		t.Errorf("the summary has no line of the pool:\n%s", s.out.String())
	}
}

// A thousand viewers that never read keep neither requests of an app nor those of a program from
// being answered.
func TestViewersThatDoNotReadBesideTheRelay(t *testing.T) {
	s := begin(
		t, "--relay-grpc-address", "127.0.0.1:0", "--relay-http-address", "off", "--health-address", "off",
		"--interval", "100ms",
	)
	takes := logged(t, s.log, "receiving OTLP", "grpc")
	exporter, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithEndpointURL("http://"+takes))
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
			continue // the page has closed it to make room
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := range 1000 {
		gauge := metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Time: time.Now(), Value: int64(i)}}}
		if err := exporter.Export(ctx, &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{
			{Metrics: []metricdata.Metrics{{Name: "load", Data: gauge}}},
		}}); err != nil {
			t.Fatalf("request %d of the app: %v", i, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.page+"/api/v1/picture", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("a program got status %d", answer.StatusCode)
	}
}

func TestCheckWarningsSaysWhyItGotNoAnswer(t *testing.T) {
	for at, want := range map[string]string{
		"127.0.0.1:4320":           "expected the page's URL, such as http://127.0.0.1:4320",
		"http://" + freeAddress(t): "connection refused",
	} {
		if code, _, stderr := execute("check", "--warnings", at); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d: %s", at, code, stderr)
		}
	}
}

// A port in use is logged with the process that listens on it, and the sidecar runs without it.
func TestAPortInUseIsLoggedWithItsHolder(t *testing.T) {
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
		t.Errorf("log: %s", log)
	}
}

func TestDemoBeginsWithAPoolInTrouble(t *testing.T) {
	s := begin(t, "demo")
	began := time.Now()
	s.await(t, func(p *live.Picture) bool {
		return len(p.Pools) >= 4 && p.Pools[0].Name == "thumbnails" && p.Pools[0].Level == live.Trouble
	})
	t.Logf("a pool in trouble is on the page after %v", time.Since(began))
	s.await(t, func(p *live.Picture) bool { // every pool serves requests
		return !slices.ContainsFunc(p.Pools, func(pool live.Pool) bool { return pool.Rate.Or(0) <= 0 })
	})
	if out := s.out.String(); !strings.Contains(out, "act 1 of 5: thumbnails is too small") {
		t.Errorf("prints: %s", out)
	}
}

func TestDemoShowsTheVerdictOfEachAct(t *testing.T) {
	if !*acts {
		t.Skip("-acts plays all acts")
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
				t.Errorf("%s: %s, want %s", act.pool, worst.Verdict, act.verdict)
			}
			return true
		})
	}
}
