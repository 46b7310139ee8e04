package live

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// spent adds a distribution of n durations that add up to the given number of seconds.
func (r *request) spent(row *catalog.Metric, n, seconds float64, pairs ...string) *request {
	r.distribution(row, 0, -4, []uint64{uint64(n)}, pairs...)
	r.metrics[len(r.metrics)-1].GetExponentialHistogram().DataPoints[0].Sum = proto.Float64(seconds)
	return r
}

// A pool of ten slots serves 100 requests per second with uses of 50 ms, and then leaks its slots
// one by one.
func TestVerdict(t *testing.T) {
	l := New(Config{})
	start := time.Now().Add(-10 * time.Minute)
	leaked, leakTime := 0.0, 0.0
	send := func(n int) {
		uses := float64(1000 * n)
		leakTime += 10 * leaked
		wait, pending := 0.0, 0.0
		if leaked > 5 {
			wait, pending = 100, 30
		}
		r := requestAt(start, start.Add(time.Duration(10*n)*time.Second)).
			number(catalog.PoolLimit, 10, ofPool("db")...).
			number(catalog.PoolUsage, min(10, 5+leaked), ofPool("db", string(catalog.PoolStateKey), "used")...).
			number(catalog.PoolPending, pending, ofPool("db")...).
			number(catalog.PoolRequests, uses+leaked, ofPool("db", string(catalog.PoolOutcomeKey), "acquired")...).
			number(catalog.PoolCompleted, uses, ofPool("db", string(catalog.PoolOutcomeKey), "ok")...).
			number(catalog.PoolUseTime, 0.05*uses+leakTime, ofPool("db")...).
			spent(catalog.PoolUseDuration, uses, 0.05*uses, ofPool("db")...).
			spent(catalog.PoolWaitDuration, uses, wait*float64(n), ofPool("db", string(catalog.PoolOutcomeKey), "acquired")...).

			// from requests that were not served
			spent(catalog.PoolWaitDuration, 1, 1e6, ofPool("db", string(catalog.PoolOutcomeKey), "timeout")...)
		l.Offer(r.wire(t))
	}
	for n := range 6 {
		send(n)
	}
	if n := recommended(t, l); n != 10 {
		t.Errorf("a limit of %d is recommended, want 10", n)
	}
	if p := onlyPool(t, l); p.Verdict != "" || p.Evidence != nil {
		t.Fatalf("a healthy pool has the verdict %q because of %q", p.Verdict, p.Evidence)
	}
	for n := 6; n < 12; n++ {
		leaked++
		send(n)
	}
	if n := recommended(t, l); n != 0 {
		t.Errorf("a limit of %d is recommended while slots leak, want none", n)
	}
	p := onlyPool(t, l)
	if p.Verdict != "leaking" || len(p.Evidence) != 1 ||
		!strings.HasPrefix(p.Evidence[0], "6.0 of 10 slots are held by uses that do not end") {
		t.Errorf("verdict %q because of %q, want leaking of 6 slots", p.Verdict, p.Evidence)
	}
}

// The machine's judge uses the throttling and CPU time of the app's container only. If that
// container is unknown or gone, the values are absent.
func TestJudgeUsesTheAppsContainer(t *testing.T) {
	collection := func(at time.Time, periods int64) *metricdata.ResourceMetrics {
		var all []metricdata.Metrics
		add := func(row *catalog.Metric, v int64, attrs ...attribute.KeyValue) {
			attrs = append(attrs, catalog.CgroupPathKey.String("/"))
			all = append(all, metricdata.Metrics{Name: row.Name, Data: metricdata.Gauge[int64]{
				DataPoints: []metricdata.DataPoint[int64]{{Attributes: attribute.NewSet(attrs...), Time: at, Value: v}},
			}})
		}
		add(catalog.SourceDuration, 0)
		for share, id := range map[int64]string{3: "app", 5: "other", 7: ""} {
			var of []attribute.KeyValue
			if id != "" {
				of = append(of, semconv.ContainerID(id))
			}
			add(catalog.ContainerCPUTime, share*periods/3, of...)
			add(catalog.CgroupCPUPeriods, 10*periods, of...)
			add(catalog.CgroupCPUThrottledPeriods, share*periods, of...)
		}
		return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: all}}}
	}
	nan := math.NaN()
	for app, want := range map[string][2]float64{"app": {0.3, 1}, "": {nan, nan}, "gone": {nan, nan}} {
		m := newMachine()
		start := time.Now()
		m.advance(collection(start, 10), app)
		before := m.figures(start)
		m.advance(collection(start.Add(10*time.Second), 20), app)
		after := m.figures(start.Add(10 * time.Second))
		of := diagnose.HostBetween(before, after)
		if got := [2]float64{of.Throttled, of.BusyCPUs}; !same(got[0], want[0]) || !same(got[1], want[1]) {
			t.Errorf("app %q: got throttled share and busy CPUs %v, want %v", app, got, want)
		}
	}
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// If the CPU probe takes much longer than its CPU time while the app is nearly idle, the verdict is
// a noisy neighbor.
func TestStretchedCPUProbeMeansANoisyNeighbor(t *testing.T) {
	m := newMachine()
	start := time.Now()
	for n := range 5 {
		at := start.Add(time.Duration(10*n) * time.Second)
		gauge := func(row *catalog.Metric, v int64, attrs ...attribute.KeyValue) metricdata.Metrics {
			return metricdata.Metrics{
				Name: row.Name,
				Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{
					{Attributes: attribute.NewSet(attrs...), Time: at, Value: v},
				}},
			}
		}
		stretch := metricdata.Metrics{
			Name: catalog.ProbeCPUStretch.Name,
			Data: metricdata.ExponentialHistogram[float64]{
				Temporality: metricdata.CumulativeTemporality,
				DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{{
					Time: at, Count: uint64(2 * n), Sum: 4.2 * float64(n),
				}},
			},
		}
		app := []attribute.KeyValue{semconv.ContainerID("app"), catalog.CgroupPathKey.String("/")}
		m.advance(&metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{
			gauge(
				catalog.SourceDuration,
				0,
			),
			gauge(catalog.SystemCPULogicalCount, 2),
			gauge(catalog.ContainerCPUTime, int64(n), app...),
			stretch,
		}}}}, "app")
	}
	f := m.judge.Holds()
	if f.Verdict != diagnose.NoisyNeighbor || !strings.Contains(f.Evidence, "2.10 times its CPU time") {
		t.Errorf("got verdict %v because of %q, want a noisy neighbor with a stretch of 2.10", f.Verdict, f.Evidence)
	}
}

// recommended returns the recommended limit of the only pool, or 0 if there is none.
func recommended(t *testing.T, l *Live) (limit int64) {
	t.Helper()
	l.verdicts(func(row *catalog.Metric, n int64, _ ...attribute.KeyValue) {
		if row == catalog.PoolLimitRecommended {
			limit += n
		}
	})
	return limit
}

// observed returns the attributes of every verdict that is 1, by metric, and how many are 0.
func observed(t *testing.T, l *Live) (holds map[string][]attribute.Set, others int) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	if err := l.Observe(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")); err != nil {
		t.Fatal(err)
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	holds = map[string][]attribute.Set{}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		data, _ := m.Data.(metricdata.Sum[int64])
		if m.Name != catalog.PoolVerdict.Name && m.Name != catalog.HostVerdict.Name {
			continue
		}
		for _, p := range data.DataPoints {
			if p.Value == 1 {
				holds[m.Name] = append(holds[m.Name], p.Attributes)
			} else {
				others++
			}
		}
	}
	return holds, others
}

// The sidecar reports its verdicts, except for pools judged by their app, whose verdict it adopts.
func TestVerdictsAreReported(t *testing.T) {
	l := New(Config{})
	start := time.Now().Add(-time.Minute)
	offer := func(more ...string) {
		r := requestAt(start, time.Now()).number(catalog.PoolLimit, 10, ofPool("db")...)
		for i, v := range more {
			r.number(catalog.PoolVerdict, float64(len(more)-1-i), ofPool("db", string(catalog.VerdictKey), v)...)
		}
		l.Offer(r.wire(t))
	}
	offer()
	holds, others := observed(t, l)
	want := attribute.NewSet(
		catalog.PoolNameKey.String(
			"db",
		),
		catalog.PoolKindKey.String("worker"),
		catalog.VerdictKey.String("undetermined"),
		semconv.ServiceName("shop"),
		semconv.ServiceInstanceID("1"),
	)
	if of := holds[catalog.PoolVerdict.Name]; len(of) != 1 || !of[0].Equals(&want) {
		t.Errorf("pool verdicts reported as 1: got %v, want %v", of, want.ToSlice())
	}
	if of := holds[catalog.HostVerdict.Name]; len(of) != 1 ||
		of[0].Encoded(attribute.DefaultEncoder()) != "poolgauge.verdict=undetermined" {
		t.Errorf("host verdicts reported as 1: got %v, want undetermined", of)
	}
	if others != 0 {
		t.Errorf("%d verdicts are reported as 0, want 0: no other verdict has ever held", others)
	}

	offer("lock_contention", "ok")
	if holds, _ := observed(t, l); holds[catalog.PoolVerdict.Name] != nil {
		t.Errorf("a verdict is reported in addition to that of the app: %v", holds)
	}
	if p := onlyPool(
		t,
		l,
	); p.Verdict != "lock contention" || len(p.Evidence) != 1 ||
		!strings.Contains(p.Evidence[0], "reported by the app") {
		t.Errorf("verdict %q because of %q, want that of the app", p.Verdict, p.Evidence)
	}
	offer("undetermined", "ok")
	if p := onlyPool(t, l); p.Verdict != "" {
		t.Errorf("verdict %q, want none", p.Verdict)
	}
	for verdict, want := range map[string]Level{"leaking": Warning, "failing": Warning, "starved": Good} {
		offer(verdict, "ok")
		if p := onlyPool(t, l); p.Level != want {
			t.Errorf("a pool that serves its callers and is %s: level %s, want %s", verdict, p.Level, want)
		}
	}
}

// own builds a collection of the sidecar's own metrics.
type own struct {
	at      time.Time
	metrics map[string]*metricdata.Sum[float64]
}

func (o *own) add(row *catalog.Metric, v float64, of ...attribute.KeyValue) {
	if o.metrics[row.Name] == nil {
		o.metrics[row.Name] = &metricdata.Sum[float64]{Temporality: metricdata.CumulativeTemporality}
	}
	m := o.metrics[row.Name]
	m.DataPoints = append(
		m.DataPoints,
		metricdata.DataPoint[float64]{Attributes: attribute.NewSet(of...), Time: o.at, Value: v},
	)
}

func (o *own) collection() *metricdata.ResourceMetrics {
	var scope metricdata.ScopeMetrics
	for name, data := range o.metrics {
		scope.Metrics = append(scope.Metrics, metricdata.Metrics{Name: name, Data: *data})
	}
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{scope}}
}

// The host's verdict uses the values of the only container besides the sidecar's own. If there are
// two such containers, it is unknown which one is the app's.
func TestHostVerdictUsesTheAppsContainer(t *testing.T) {
	begin := time.Unix(1000, 0)
	collect := func(l *Live, n float64, throttled map[string]float64) {
		o := &own{at: begin.Add(time.Duration(10*n) * time.Second), metrics: map[string]*metricdata.Sum[float64]{}}
		o.add(catalog.SourceDuration, 0)
		o.add(catalog.ProcessCPUTime, n, semconv.ProcessPID(os.Getpid()), semconv.ContainerID("own"))
		o.add(catalog.ProcessRunQueueTime, n, semconv.ProcessPID(os.Getpid()), semconv.ContainerID("own"))
		for id, share := range throttled {
			path, in := catalog.CgroupPathKey.String("/"+id), semconv.ContainerID(id)
			o.add(catalog.ContainerCPUTime, n, path, in)
			o.add(catalog.CgroupCPULimit, 2, path, in)
			o.add(catalog.CgroupCPUPeriods, 100*n, path, in)
			o.add(catalog.CgroupCPUThrottledPeriods, share*100*n, path, in)
		}
		l.Collect(o.collection())
	}
	for _, c := range []struct {
		throttled map[string]float64
		want      string
	}{
		{map[string]float64{"own": 0.5, "app": 0}, ""},
		{map[string]float64{"own": 0, "app": 0.5}, "throttled"},
		{map[string]float64{"own": 0, "app": 0.5, "other": 0}, ""},
	} {
		l := New(Config{})
		for n := range 4 {
			collect(l, float64(n), c.throttled)
		}
		if got := l.Picture().Host.Verdict; got != c.want {
			t.Errorf("throttled %v: got verdict %q, want %q", c.throttled, got, c.want)
		}
	}
}
