package instrument_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func observe(t testing.TB, stats func() instrument.Stats, opts ...instrument.Option) *instrument.Registration {
	t.Helper()
	r, err := instrument.Observe("fallback", "test", stats, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func newProvider() (*sdkmetric.ManualReader, instrument.Option) {
	reader := sdkmetric.NewManualReader()
	return reader, instrument.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
}

// names returns the set of metric names in series.
func names(series map[pooltest.Series]float64) map[string]bool {
	all := map[string]bool{}
	for s := range series {
		all[s.Metric] = true
	}
	return all
}

func TestFallbackReportsEveryMetric(t *testing.T) {
	reader, provider := newProvider()
	observe(t, pooltest.Full, provider)
	got := names(pooltest.Collect(t, reader))
	for _, row := range catalog.Pool.Metrics {
		if !got[row.Name] && row != catalog.PoolVerdict && row != catalog.PoolLimitRecommended {
			t.Errorf("%s is not reported", row.Name)
		}
		delete(got, row.Name)
	}
	if len(got) > 0 {
		t.Errorf("%v are reported but not in the catalog", got)
	}
}

// histogram collects from reader and returns the only data point, which must be a histogram of use
// durations.
func histogram(t *testing.T, reader sdkmetric.Reader) metricdata.HistogramDataPoint[float64] {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	return data.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints[0]
}

// Each reader of the provider gets each duration once, no matter how often and in which order the
// readers collect.
func TestDurationsReachEveryReaderOnce(t *testing.T) {
	first, second := sdkmetric.NewManualReader(), sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(first), sdkmetric.WithReader(second))
	var use instrument.Histogram
	observe(
		t,
		func() instrument.Stats { return instrument.Stats{Use: use.Clone()} },
		instrument.WithMeterProvider(provider),
	)
	for round, reader := range []sdkmetric.Reader{first, first, second, first, second} {
		use.RecordN(3*time.Millisecond, 5)
		use.Record(0)
		use.Record(time.Duration(round) * time.Second)
		got := histogram(t, reader)
		if got.Count != use.Count() || math.Abs(got.Sum-use.Sum()) > 1e-9*use.Sum() {
			t.Errorf(
				"collection %d: got %d durations with a sum of %v s; want %d, %v s",
				round,
				got.Count,
				got.Sum,
				use.Count(),
				use.Sum(),
			)
		}
	}
	got, counts := histogram(t, first), map[float64]uint64{}
	for i, bound := range got.Bounds {
		counts[bound] = got.BucketCounts[i]
	}
	if counts[0] != 6 || counts[0.005] != 25 {
		t.Errorf(
			"got %d durations of 0 and %d in (2.5 ms, 5 ms], want 6 and 25; all buckets: %v",
			counts[0],
			counts[0.005],
			counts,
		)
	}
}

// A pool is reported through the Reader or through its MeterProvider, never through both.
func TestFallbackIsSilentWhileReaderIsOpen(t *testing.T) {
	own, provider := newProvider()
	pool := observe(t, pooltest.Full, provider)
	reader, other := instrument.OpenReader(), instrument.OpenReader()
	other.Close()
	other.Close()
	if got := pooltest.Collect(t, own); len(got) != 0 {
		t.Errorf("while a Reader is open, the provider reports %v, want nothing", got)
	}
	reader.Close()
	if got := pooltest.Collect(t, own); len(got) == 0 {
		t.Error("after the Reader was closed, the provider reports nothing")
	}
	pool.Close()
	if got := pooltest.Collect(t, own); len(got) == 0 {
		t.Error("after the pool was closed, the provider does not report its last values")
	}
}

// globalWasSet is whether the test below has set the global provider. OpenTelemetry's placeholder
// delegates to a provider only once per process.
var globalWasSet bool

// The global provider may be set after a pool was created.
func TestGlobalProviderSetLater(t *testing.T) {
	if globalWasSet {
		t.Skip("-count is above 1, but the global provider can replace the placeholder only once per process")
	}
	globalWasSet = true
	use := new(instrument.Histogram)
	use.RecordN(time.Millisecond, 7)
	observe(t, func() instrument.Stats { return instrument.Stats{Limit: instrument.Some(int64(3)), Use: use.Clone()} })
	reader := sdkmetric.NewManualReader()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	set := attribute.NewSet(catalog.PoolNameKey.String("fallback"), catalog.PoolKindKey.String("test"))
	got := pooltest.Collect(t, reader)
	if n := got[pooltest.Series{Metric: catalog.PoolLimit.Name, Attributes: set.Equivalent()}]; n != 3 {
		t.Errorf("got limit %v, want 3", n)
	}
	if n := got[pooltest.Series{Metric: catalog.PoolUseDuration.Name, Attributes: set.Equivalent()}]; n != 7 {
		t.Errorf("got %v durations, want 7", n)
	}
}

// If there are more new durations than a collection records through the API, only a sample of them
// is recorded, and an error is reported once.
func TestTooManyDurations(t *testing.T) {
	var reported []error
	defer otel.SetErrorHandler(otel.GetErrorHandler())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { reported = append(reported, err) }))
	reader, provider := newProvider()
	var use instrument.Histogram
	observe(t, func() instrument.Stats { return instrument.Stats{Use: use.Clone()} }, provider)
	use.RecordN(time.Millisecond, 8192)
	if got := histogram(t, reader); got.Count != 8192 || len(reported) != 0 {
		t.Errorf("recorded %d durations and reported the errors %v, want 8192 and none", got.Count, reported)
	}
	use.RecordN(time.Millisecond, 8193)
	before, sum, count := histogram(t, reader), use.Sum(), use.Count()
	if before.Count != 8192+4096 || len(reported) != 1 {
		t.Errorf("recorded %d durations and reported the errors %v, want 12288 and one", before.Count, reported)
	}
	for range 2 {
		use.RecordN(time.Microsecond, 3_000_000)
		use.RecordN(time.Second, 1_000_000)
	}
	got := histogram(t, reader)
	recorded := got.Count - before.Count
	if recorded > 8192 || recorded < 4096 {
		t.Errorf("recorded %d of %d durations, want 4096 to 8192", recorded, use.Count()-count)
	}
	mean, want := (got.Sum-before.Sum)/float64(recorded), (use.Sum()-sum)/float64(use.Count()-count)
	if math.Abs(mean/want-1) > 1e-2 {
		t.Errorf("mean = %v s, want %v s", mean, want)
	}
	use.RecordN(time.Second, 2_000_000)
	histogram(t, reader)
	if len(reported) != 1 || !strings.Contains(reported[0].Error(), `"fallback"`) {
		t.Errorf("reported the errors %v, want one with the name of the pool", reported)
	}
}

// countingProvider is a MeterProvider that counts how many callbacks are registered and
// unregistered.
type countingProvider struct {
	noop.MeterProvider
	registered, unregistered int
}

type countingMeter struct {
	noop.Meter
	provider *countingProvider
}

func (p *countingProvider) Meter(string, ...metric.MeterOption) metric.Meter {
	return countingMeter{provider: p}
}

func (m countingMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	m.provider.registered++
	return &registeredCallback{provider: m.provider}, nil
}

type registeredCallback struct {
	noop.Registration
	provider *countingProvider
}

func (r *registeredCallback) Unregister() error {
	r.provider.unregistered++
	return nil
}

// Pools with the same provider share a callback. When all of them are closed, the callback remains
// registered until a pool with another provider is created.
func TestPoolsShareCallback(t *testing.T) {
	one, two, three := &countingProvider{}, &countingProvider{}, &countingProvider{}
	pool := func(name string, p *countingProvider) *instrument.Registration {
		r, err := instrument.Observe(name, "test", pooltest.Full, instrument.WithMeterProvider(p))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	a, b := pool("a", one), pool("b", one)
	a.Close()
	pool("c", two)
	if one.registered != 1 || one.unregistered != 0 {
		t.Errorf(
			"while a pool is open: registered %d times and unregistered %d times, want 1 and 0",
			one.registered,
			one.unregistered,
		)
	}
	b.Close()
	pool("d", three)
	if one.registered != 1 || one.unregistered != 1 || two.unregistered != 0 {
		t.Errorf(
			"after all pools of a provider were closed: unregistered %d times, and %d times for the other provider; want 1 and 0",
			one.unregistered,
			two.unregistered,
		)
	}
}
