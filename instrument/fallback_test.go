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

func names(series map[pooltest.Series]float64) map[string]bool {
	all := map[string]bool{}
	for s := range series {
		all[s.Metric] = true
	}
	return all
}

func TestEveryRowWithoutAProducer(t *testing.T) {
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
		t.Errorf("%v are not in the table", got)
	}
}

// histogram returns the only point of the use durations.
func histogram(t *testing.T, reader sdkmetric.Reader) metricdata.HistogramDataPoint[float64] {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	return data.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints[0]
}

// Each reader of the provider gets each duration once, however often and in whatever order the
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
				"collection %d: %d durations, %v s; want %d, %v s",
				round,
				got.Count,
				got.Sum,
				use.Count(),
				use.Sum(),
			)
		}
	}
	got, in := histogram(t, first), map[float64]uint64{}
	for i, bound := range got.Bounds {
		in[bound] = got.BucketCounts[i]
	}
	if in[0] != 6 || in[0.005] != 25 {
		t.Errorf("%d durations of 0 and %d in (2.5 ms, 5 ms], want 6 and 25; all: %v", in[0], in[0.005], in)
	}
}

// A pool is reported through the Reader or through its MeterProvider, never through both.
func TestSilentWhileAReaderIsOpen(t *testing.T) {
	own, provider := newProvider()
	pool := observe(t, pooltest.Full, provider)
	reader, other := instrument.OpenReader(), instrument.OpenReader()
	other.Close()
	other.Close()
	if got := pooltest.Collect(t, own); len(got) != 0 {
		t.Errorf("with a Reader the provider reports %v", got)
	}
	reader.Close()
	if got := pooltest.Collect(t, own); len(got) == 0 {
		t.Error("after the Reader was closed the provider reports nothing")
	}
	pool.Close()
	if got := pooltest.Collect(t, own); len(got) == 0 {
		t.Error("after the pool was closed the provider does not report how it ended")
	}
}

// wasSet records that the global provider was set. OpenTelemetry's placeholder delegates to it only
// once in a process.
var wasSet bool

// The global provider may be set after the pools were created.
func TestGlobalProviderThatComesLater(t *testing.T) {
	if wasSet {
		t.Skip("with -count above 1: the global provider can come later only once in a process")
	}
	wasSet = true
	use := new(instrument.Histogram)
	use.RecordN(time.Millisecond, 7)
	observe(t, func() instrument.Stats { return instrument.Stats{Limit: instrument.Some(int64(3)), Use: use.Clone()} })
	reader := sdkmetric.NewManualReader()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	set := attribute.NewSet(catalog.PoolNameKey.String("fallback"), catalog.PoolKindKey.String("test"))
	got := pooltest.Collect(t, reader)
	if n := got[pooltest.Series{Metric: catalog.PoolLimit.Name, Attributes: set.Equivalent()}]; n != 3 {
		t.Errorf("limit %v, want 3", n)
	}
	if n := got[pooltest.Series{Metric: catalog.PoolUseDuration.Name, Attributes: set.Equivalent()}]; n != 7 {
		t.Errorf("%v durations, want 7", n)
	}
}

// If there are more new durations than a collection records through the API, only a sample is
// recorded, and one error is reported.
func TestTooManyDurations(t *testing.T) {
	var reported []error
	defer otel.SetErrorHandler(otel.GetErrorHandler())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { reported = append(reported, err) }))
	reader, provider := newProvider()
	var use instrument.Histogram
	observe(t, func() instrument.Stats { return instrument.Stats{Use: use.Clone()} }, provider)
	use.RecordN(time.Millisecond, 3)
	if got := histogram(t, reader); got.Count != 3 || len(reported) != 0 {
		t.Errorf("recorded %d of 3 durations, and reported %v", got.Count, reported)
	}
	for range 2 {
		use.RecordN(time.Microsecond, 3_000_000)
		use.RecordN(time.Second, 1_000_000)
	}
	got := histogram(t, reader)
	if got.Count > 8192 || got.Count < 4096 {
		t.Errorf("recorded %d of %d durations", got.Count, use.Count())
	}
	if mean, want := got.Sum/float64(got.Count), use.Sum()/float64(use.Count()); math.Abs(mean/want-1) > 1e-2 {
		t.Errorf("the mean is %v s, want %v s", mean, want)
	}
	use.RecordN(time.Second, 2_000_000)
	histogram(t, reader)
	if len(reported) != 1 || !strings.Contains(reported[0].Error(), `"fallback"`) {
		t.Errorf("reported %v, want one error with the name of the pool", reported)
	}
}

// registering is a provider that counts callbacks.
type registering struct {
	noop.MeterProvider
	registered, unregistered int
}

type registeringMeter struct {
	noop.Meter
	of *registering
}

func (p *registering) Meter(string, ...metric.MeterOption) metric.Meter {
	return registeringMeter{of: p}
}

func (m registeringMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	m.of.registered++
	return &registeredCallback{of: m.of}, nil
}

type registeredCallback struct {
	noop.Registration
	of *registering
}

func (r *registeredCallback) Unregister() error {
	r.of.unregistered++
	return nil
}

// Pools with the same provider share a callback. Once none of them is left, the callback is
// unregistered when a pool with another provider is created.
func TestPoolsShareACallback(t *testing.T) {
	one, two, three := &registering{}, &registering{}, &registering{}
	pool := func(name string, p *registering) *instrument.Registration {
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
		t.Errorf("with a pool left: registered %d times, unregistered %d times", one.registered, one.unregistered)
	}
	b.Close()
	pool("d", three)
	if one.registered != 1 || one.unregistered != 1 || two.unregistered != 0 {
		t.Errorf(
			"without: unregistered %d times, and the provider of another pool %d times",
			one.unregistered,
			two.unregistered,
		)
	}
}
