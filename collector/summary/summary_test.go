package summary

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector/live"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// machine builds a collection of metrics at the given time.
type machine struct {
	at      time.Time
	metrics []metricdata.Metrics
}

// at begins a collection made the given time after noon.
func at(after time.Duration) *machine {
	m := &machine{at: noon.Add(after)}
	return m.gauge(catalog.SourceDuration, 0.001)
}

func (m *machine) gauge(row *catalog.Metric, v float64, kvs ...attribute.KeyValue) *machine {
	p := metricdata.DataPoint[float64]{Attributes: attribute.NewSet(kvs...), Time: m.at, Value: v}
	m.metrics = append(
		m.metrics,
		metricdata.Metrics{
			Name: row.Name,
			Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{p}},
		},
	)
	return m
}

func (m *machine) distribution(row *catalog.Metric, count uint64, sum float64, kvs ...attribute.KeyValue) *machine {
	p := metricdata.ExponentialHistogramDataPoint[float64]{
		Attributes: attribute.NewSet(kvs...),
		Time:       m.at,
		Count:      count,
		Sum:        sum,
	}
	m.metrics = append(m.metrics, metricdata.Metrics{
		Name: row.Name,
		Data: metricdata.ExponentialHistogram[float64]{
			DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{p},
		},
	})
	return m
}

func (m *machine) collection() *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: m.metrics}}}
}

// everything returns a machine with most of the values in the summary, s seconds after noon.
func everything(s float64) *machine {
	path, id := catalog.CgroupPathKey.String("/pod/c"), semconv.ContainerID("0123456789abcdef")
	disk, target := catalog.ProbeNameKey.String("disk"), catalog.ProbeTargetKey.String("/data")
	return at(time.Duration(s*float64(time.Second))).
		gauge(catalog.SystemCPULogicalCount, 4).
		gauge(catalog.SystemCPUTime, 2*s, semconv.CPUModeIdle).
		gauge(catalog.SystemCPUTime, 0.4*s, semconv.CPUModeIOWait).
		gauge(catalog.SystemCPUTime, 1.6*s, semconv.CPUModeUser).
		gauge(catalog.SystemLoad1, 2.5).
		gauge(catalog.SystemMemoryLimit, 8<<30).
		gauge(catalog.SystemMemoryUsage, 2<<30, semconv.SystemMemoryStateUsed).
		gauge(catalog.PressureStallTime, 0.25*s, catalog.PressureScopeKey.String("host"), catalog.PressureKindKey.String("some"), catalog.PressureResourceKey.String("cpu")).
		gauge(catalog.ContainerCPUTime, 0.3*s, path, id, semconv.CPUModeUser).
		gauge(catalog.CgroupCPULimit, 0.5, path, id).
		gauge(catalog.CgroupCPUPeriods, 10*s, path, id).
		gauge(catalog.CgroupCPUThrottledPeriods, 2.5*s, path, id).
		gauge(catalog.ContainerMemoryWorkingSet, 48<<20, path, id).
		gauge(catalog.CgroupMemoryLimit, 64<<20, path, id).
		gauge(catalog.CgroupMemoryEvents, 1, path, id, catalog.CgroupEventKey.String("oom_kill")).
		distribution(catalog.ProbeCPUStretch, uint64(s), 1.5*s).
		distribution(catalog.ProbeCPURunDelay, uint64(s), 0.002*s).
		gauge(catalog.ProbeParallelism, 1.9).
		gauge(catalog.ProbeParallelismRequested, 2).
		gauge(catalog.ProbeRuns, s, disk, target).
		distribution(catalog.ProbeDuration, uint64(s), 0.0057*s, disk, target, catalog.ProbePhaseKey.String("sync")).
		distribution(catalog.ProbeDuration, uint64(s), 0.0003*s, disk, target, catalog.ProbePhaseKey.String("read"))
}

// screen shows collections as a sidecar with an upstream does.
type screen struct{ picture *live.Live }

func newScreen() screen { return screen{live.New(live.Config{Upstream: "http://collector:4317"})} }

func (s screen) block(rm *metricdata.ResourceMetrics) string {
	s.picture.Collect(rm)
	p := s.picture.Picture()
	p.At = rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Gauge[float64]).DataPoints[0].Time
	return (&Summary{}).block(p)
}

func TestSummary(t *testing.T) {
	s := newScreen()
	first := `12:00:10  host        load 2.50   memory 2.0 GiB of 8.0 GiB
          container   0123456789ab   memory 48.0 MiB of 64.0 MiB   OOM kills 1
          probe cpu   stretch 1.50   run delay 2 ms   parallelism 1.90 of 2
          probe disk  /data   sync 5.7 ms   read 300 µs

`
	if got := s.block(everything(10).collection()); got != first {
		t.Errorf("first block: got:\n%s\nwant:\n%s", got, first)
	}
	second := `12:00:20  host        cpu 40.0% of 4   iowait 10.0%   load 2.50   memory 2.0 GiB of 8.0 GiB
          pressure    cpu 25.0%
          container   0123456789ab   cpu 0.30 of 0.50   throttled 25.0%   memory 48.0 MiB of 64.0 MiB   OOM kills 1
          probe cpu   stretch 1.50   run delay 2 ms   parallelism 1.90 of 2
          probe disk  /data   sync 5.7 ms   read 300 µs

`
	if got := s.block(everything(20).collection()); got != second {
		t.Errorf("second block: got:\n%s\nwant:\n%s", got, second)
	}
}

// Absent values are omitted, and never shown as 0.
func TestSummaryOmitsAbsentValues(t *testing.T) {
	s := newScreen()
	path := catalog.CgroupPathKey.String("/")
	bare := func(at *machine) *machine {
		return at.gauge(catalog.SystemLoad1, 1).gauge(catalog.ContainerCPUTime, 5, path, semconv.CPUModeUser)
	}
	s.block(bare(at(0)).collection())
	want := "12:00:10  host        load 1.00\n          cgroup      /   cpu 0.00\n\n"
	if got := s.block(bare(at(10 * time.Second)).collection()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// If a probe has not run since the last collection, its last results are shown. A counter that was
// reset has no rate.
func TestSummaryKeepsProbeResultsAndOmitsRatesAfterResets(t *testing.T) {
	s := newScreen()
	s.block(
		at(
			0,
		).distribution(catalog.ProbeCPUStretch, 1, 2).
			gauge(catalog.SystemCPUTime, 100, semconv.CPUModeUser).
			collection(),
	)
	want := "12:00:10  probe cpu   stretch 2.00\n\n"
	if got := s.block(
		at(
			10*time.Second,
		).distribution(catalog.ProbeCPUStretch, 1, 2).
			gauge(catalog.SystemCPUTime, 1, semconv.CPUModeUser).
			collection(),
	); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// For a failing probe, the failure is shown, and nothing from earlier successful runs.
func TestSummaryShowsFailures(t *testing.T) {
	name, target, connect := catalog.ProbeNameKey.String(
		"tcp",
	), catalog.ProbeTargetKey.String(
		"db:1",
	), catalog.ProbePhaseKey.String(
		"connect",
	)
	refused := semconv.ErrorTypeKey.String("connection_refused")
	good := func(m *machine, runs uint64) *machine {
		return m.gauge(catalog.ProbeRuns, float64(runs), name, target).
			distribution(catalog.ProbeDuration, runs, float64(runs), name, target, connect)
	}
	bad := func(m *machine, runs uint64) *machine {
		return m.gauge(catalog.ProbeRuns, float64(runs), name, target, refused).
			distribution(catalog.ProbeDuration, runs, 0.001*float64(runs), name, target, connect, refused)
	}
	s := newScreen()
	for i, step := range []struct {
		m    *machine
		want string
	}{
		{good(at(0), 1), "12:00:00  probe tcp   db:1   connect 1 s\n\n"},
		{bad(good(at(10*time.Second), 1), 1), "12:00:10  probe tcp   db:1   failed: connection_refused\n\n"},
		// no run since
		{bad(good(at(20*time.Second), 1), 1), "12:00:20  probe tcp   db:1   failed: connection_refused\n\n"},
		{bad(good(at(30*time.Second), 2), 1), "12:00:30  probe tcp   db:1   connect 1 s\n\n"},
	} {
		if got := s.block(step.m.collection()); got != step.want {
			t.Errorf("step %d: got:\n%s\nwant:\n%s", i, got, step.want)
		}
	}
}

// A probe that fails from the first collection on, with the same or with different errors, or that
// hangs, is always shown.
func TestSummaryOfAFailingProbeIsNeverBlank(t *testing.T) {
	name, target := catalog.ProbeNameKey.String("grpc"), catalog.ProbeTargetKey.String("app:1")
	bad := func(m *machine, kind string, runs float64) *machine {
		return m.gauge(catalog.ProbeRuns, runs, name, target, semconv.ErrorTypeKey.String(kind))
	}
	hung := at(0).gauge(catalog.ProbeSkipped, 1, name, target, catalog.ProbeSkipReasonKey.String("running"))
	s := newScreen()
	for i, step := range []struct {
		m    *machine
		want string
	}{
		{hung, "12:00:00  probe grpc  app:1   failed: no run has finished\n\n"},
		{bad(at(10*time.Second), "timeout", 1), "12:00:10  probe grpc  app:1   failed: timeout\n\n"},
		{bad(at(20*time.Second), "timeout", 1), "12:00:20  probe grpc  app:1   failed: timeout\n\n"},
		{bad(bad(at(30*time.Second), "timeout", 1), "NOT_SERVING", 1), "12:00:30  probe grpc  app:1   failed: NOT_SERVING\n\n"},
	} {
		if got := s.block(step.m.collection()); got != step.want {
			t.Errorf("step %d: got:\n%s\nwant:\n%s", i, got, step.want)
		}
	}
	first := newScreen()
	if got, want := first.block(
		bad(at(0), "dns", 1).collection(),
	), "12:00:00  probe grpc  app:1   failed: dns\n\n"; got != want {
		t.Errorf("first block: got:\n%s\nwant:\n%s", got, want)
	}
}

// With a relay, one line shows the queued items and the rates since the previous collection.
func TestSummaryOfTheRelay(t *testing.T) {
	metrics, traces := catalog.LaneKey.String("metrics"), catalog.LaneKey.String("traces")
	of := func(m *machine, signal attribute.KeyValue, outcome string, n float64) *machine {
		return m.gauge(catalog.RelayPoints, n, signal, catalog.PointOutcomeKey.String(outcome))
	}
	relay := func(after time.Duration, queued float64) *machine {
		return at(
			after,
		).gauge(catalog.RelayQueuePoints, queued, metrics).
			gauge(catalog.RelayQueueUsage, 2048).
			gauge(catalog.RelayQueueLimit, 16<<20)
	}
	s := newScreen()
	for i, step := range []struct {
		m    *machine
		want string
	}{
		{
			of(of(relay(0, 1), metrics, "accepted", 100), metrics, "sent", 99).gauge(catalog.RelayQueueAge, 0.25, metrics),
			"12:00:00  relay       queued 1 item (2.0 KiB of 16.0 MiB)   oldest 300ms\n\n",
		},
		{
			of(of(of(relay(10*time.Second, 0), metrics, "accepted", 150), traces, "accepted", 5), metrics, "sent", 150).gauge(catalog.UpstreamAvailable, 1, metrics),
			"12:00:10  relay       queued 0 items (2.0 KiB of 16.0 MiB)   accepted 5.5/s   sent 5.1/s\n\n",
		},
		{
			of(of(of(of(relay(20*time.Second, 200), metrics, "accepted", 650), metrics, "sent", 150), metrics, "dropped", 300), metrics, "refused", 7).
				gauge(catalog.RelayQueueAge, 83, metrics).gauge(catalog.RelayQueueDurable, 0).gauge(catalog.UpstreamAvailable, 0, metrics),
			"12:00:20  relay       queued 200 items (2.0 KiB of 16.0 MiB)   oldest 1m23s   queue storage is failing   the upstream is not accepting metrics" +
				"   accepted 50/s   sent 0/s   dropped 30/s   refused 0.7/s\n\n",
		},
	} {
		if got := s.block(step.m.collection()); got != step.want {
			t.Errorf("step %d: got:\n%s\nwant:\n%s", i, got, step.want)
		}
	}
}

// stuck is a terminal to which writes block until it is closed.
type stuck chan struct{}

func (s stuck) Write(p []byte) (int, error) {
	<-s
	return len(p), nil
}

func TestSummaryDoesNotWaitForTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal := make(stuck)
		s := Start(terminal, false)
		begin := time.Now()
		for range 5 {
			s.Show(&live.Picture{})
		}
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("Show waited %v, want 0", waited)
		}
		s.Close()
		if waited := time.Since(begin); waited != 100*time.Millisecond {
			t.Errorf("Close waited %v, want 100ms", waited)
		}
		close(terminal)
	})
}

// Pools are shown in the given order. Their lines have at most 80 columns, whatever the names.
// Colors are used only if enabled.
func TestSummaryOfPools(t *testing.T) {
	p := &live.Picture{At: noon, Pools: []live.Pool{
		{
			Name:       "thumbnails-of-the-shop\x1b[2J",
			Level:      live.Trouble,
			Limit:      live.Known(128),
			Used:       live.Known(128),
			Pending:    live.Known(1234),
			OldestWait: live.Known(1.25),
			Wait: live.Quantiles{
				P99: live.Known(0.1234),
			},
			Use:       live.Quantiles{P50: live.Known(0.02134)},
			Rate:      live.Known(12345),
			NotServed: live.Known(3.21),
			LongestWait: live.Waited{
				Wait:  live.Known(1.5),
				Trace: "4bf92f3577b34da6a3ce929d0e0e4736",
			},
			Holders: []live.Holder{
				{
					Age:   182,
					Calls: []string{"thumbnails.(*Store).resize (resize.go:12)", "main.handle (main.go:40)"},
					Trace: "4bf92f3577b34da6a3ce929d0e0e4736",
				},
				{Age: 1},
			},
		},
		{Name: "db", Level: live.Good, Used: live.Known(3), Wait: live.Quantiles{P99: live.Known(0)}},
		{Name: "gone", Level: live.Silent, Reason: "no data since 11:59:00"},
	}}
	want := `12:00:00  pool       used waiting   oldest  wait p99  use p50  rate/s unserved/s
!!thumbnails-o…   128/128    1234   1.25 s    123 ms  21.3 ms   12345        3.2
    longest wait 1.5 s, trace 4bf92f3577b34da6a3ce929d0e0e4736
    held for 3m2s by thumbnails.(*Store).resize (resize.go:12) < main.handle (m…
  db                    3       –        –       0 s        –       –          –
? gone            no data since 11:59:00

`
	if got := (&Summary{}).block(p); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := (&Summary{colored: true}).block(
		p,
	); !strings.Contains(got, "\x1b[1;31m!!thumbnails-o…") ||
		strings.Contains(got, "\x1b[2J") {
		t.Errorf("with colors: got %q, want a red pool and no other escape sequence", got)
	}
	for line := range strings.Lines(want) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns, want at most 80: %s", n, line)
		}
	}
}

// Containers with private cgroup namespaces are all at the root. They are distinguished by their
// IDs, and each kill belongs to one container. A container that was killed is shown once more.
func TestSummaryDistinguishesContainers(t *testing.T) {
	root, kill := catalog.CgroupPathKey.String("/"), catalog.CgroupEventKey.String("oom_kill")
	app := semconv.ContainerID("aaaaaaaaaaaaaaaa")
	pause := semconv.ContainerID("bbbbbbbbbbbbbbbb")
	gone := semconv.ContainerID("cccccccccccccccc")
	pod := func(s float64) *machine {
		return at(time.Duration(s*float64(time.Second))).
			gauge(catalog.SystemLoad1, 1).
			gauge(catalog.ContainerCPUTime, 0.1*s, root, semconv.CPUModeUser).
			gauge(catalog.ContainerCPUTime, 0.2*s, root, app, semconv.CPUModeUser).
			gauge(catalog.ContainerCPUTime, 0.3*s, root, app, semconv.CPUModeSystem).
			gauge(catalog.CgroupCPULimit, 2, root, app).
			gauge(catalog.CgroupMemoryEvents, 3, root, app, kill).
			gauge(catalog.ContainerCPUTime, 0, root, pause, semconv.CPUModeUser).
			gauge(catalog.CgroupMemoryEvents, 0, root, pause, kill).
			gauge(catalog.CgroupMemoryEvents, 5, catalog.CgroupPathKey.String("/above"), kill).
			gauge(catalog.CgroupMemoryEvents, 1, root, gone, kill)
	}
	s := newScreen()
	s.block(pod(10).collection())
	want := `12:00:20  host        load 1.00
          cgroup      /   cpu 0.10
          container   aaaaaaaaaaaa   cpu 0.50 of 2.00   OOM kills 3
          container   bbbbbbbbbbbb   cpu 0.00
          container   cccccccccccc   OOM kills 1

`
	if got := s.block(pod(20).collection()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestCutShortensNamesAndReplacesControlCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"orders":             "orders",
		"or\x1b[2Jd":         "or\uFFFD[2Jd",
		"\u202eorders":       "\uFFFDorders",
		"thumbnails-large":   "thumbnail…",
		"été-à-Saint-Tropez": "été-à-Sai…",
	} {
		if got := cut(text, 10); got != want {
			t.Errorf("cut(%q, 10) = %q, want %q", text, got, want)
		}
	}
}
