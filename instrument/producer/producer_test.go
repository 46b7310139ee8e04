package producer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	apimetric "go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func observe(t testing.TB, name string, stats func() instrument.Stats, opts ...instrument.Option) {
	t.Helper()
	r, err := instrument.Observe(name, "test", stats, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
}

func produce(t testing.TB, p *producer.Producer) map[string]metricdata.Metrics {
	t.Helper()
	scopes, err := p.Produce(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]metricdata.Metrics{}
	for _, s := range scopes {
		for _, m := range s.Metrics {
			all[m.Name] = m
		}
	}
	return all
}

// Every metric of pools in the catalog is produced as described there, and no other metric is.
func TestProducesEveryMetric(t *testing.T) {
	p := producer.New()
	defer p.Close()
	before := time.Now()
	observe(t, "full", pooltest.Full)
	after := time.Now()
	got := produce(t, p)
	for _, row := range catalog.Pool.Metrics {
		if row == catalog.PoolLimitRecommended { // needs more than one window
			continue
		}
		m, ok := got[row.Name]
		if !ok {
			t.Errorf("%s is not produced", row.Name)
			continue
		}
		if m.Unit != row.Unit || m.Description != row.Help {
			t.Errorf(
				"%s: unit %q, description %q; want %q, %q",
				row.Name,
				m.Unit,
				m.Description,
				row.Unit,
				row.Help,
			)
		}
		checkKind(t, row, m.Data)
		for _, start := range starts(m.Data) {
			if start.Before(before) || start.After(after) {
				t.Errorf("%s: start time %v, want the time of Observe", row.Name, start)
			}
		}
		delete(got, row.Name)
	}
	for name := range got {
		t.Errorf("%s is produced but not in the catalog", name)
	}
}

// checkKind checks that data is cumulative and of the kind that row specifies.
func checkKind(t *testing.T, row *catalog.Metric, data metricdata.Aggregation) {
	t.Helper()
	sum := func(temporality metricdata.Temporality, monotonic bool) (catalog.Kind, metricdata.Temporality) {
		if monotonic {
			return catalog.Counter, temporality
		}
		return catalog.UpDownCounter, temporality
	}
	kind, temporality := catalog.Gauge, metricdata.CumulativeTemporality
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		kind, temporality = sum(d.Temporality, d.IsMonotonic)
	case metricdata.Sum[float64]:
		kind, temporality = sum(d.Temporality, d.IsMonotonic)
	case metricdata.ExponentialHistogram[float64]:
		kind, temporality = catalog.Histogram, d.Temporality
	}
	if kind != row.Kind || temporality != metricdata.CumulativeTemporality {
		t.Errorf("%s: got kind %v, %v; want %v, cumulative", row.Name, kind, temporality, row.Kind)
	}
}

// starts returns the start times of data's points. Gauges have none.
func starts(data metricdata.Aggregation) (all []time.Time) {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			all = append(all, p.StartTime)
		}
	case metricdata.Sum[float64]:
		for _, p := range d.DataPoints {
			all = append(all, p.StartTime)
		}
	case metricdata.ExponentialHistogram[float64]:
		for _, p := range d.DataPoints {
			all = append(all, p.StartTime)
		}
	}
	return all
}

// A histogram point equals that of the SDK's own exponential histogram for the same durations at
// the same scale.
func TestHistogramMatchesSDK(t *testing.T) {
	reader := sdkmetric.NewManualReader(
		sdkmetric.WithAggregationSelector(func(sdkmetric.InstrumentKind) sdkmetric.Aggregation {
			return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 400, MaxScale: instrument.Scale}
		}),
	)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	reference, err := provider.Meter("m").Float64Histogram(catalog.PoolUseDuration.Name)
	if err != nil {
		t.Fatal(err)
	}
	use := new(instrument.Histogram)
	attributes := attribute.NewSet(catalog.PoolNameKey.String("hist"), catalog.PoolKindKey.String("test"))
	for i := range 3000 {
		d := time.Duration(math.Exp(float64(i)/130)) - 1
		use.RecordN(d, 2)
		for range 2 {
			reference.Record(context.Background(), d.Seconds(), apimetric.WithAttributeSet(attributes))
		}
	}
	var want metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &want); err != nil {
		t.Fatal(err)
	}
	p := producer.New()
	defer p.Close()
	observe(t, "hist", func() instrument.Stats { return instrument.Stats{Use: use.Clone()} })
	got := produce(t, p)[catalog.PoolUseDuration.Name].Data.(metricdata.ExponentialHistogram[float64])
	expected := want.ScopeMetrics[0].Metrics[0].Data.(metricdata.ExponentialHistogram[float64])
	gotSum, wantSum := &got.DataPoints[0].Sum, &expected.DataPoints[0].Sum
	if math.Abs(*gotSum / *wantSum - 1) > 1e-12 {
		t.Errorf("got sum %v, want %v", *gotSum, *wantSum)
	}
	*gotSum = *wantSum
	metricdatatest.AssertAggregationsEqual(t, expected, got, metricdatatest.IgnoreTimestamp())
}

// A reader exports the pools together with its provider's instruments. Of three pools, only the one
// whose stats function panics is omitted.
func TestReaderOmitsOnlyPanickingPool(t *testing.T) {
	var reported []error
	defer otel.SetErrorHandler(otel.GetErrorHandler())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { reported = append(reported, err) }))
	p := producer.New()
	defer p.Close()
	exporter := make(exports, 1)
	reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(time.Hour), sdkmetric.WithProducer(p))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	own, err := provider.Meter("own").Int64Counter("own")
	if err != nil {
		t.Fatal(err)
	}
	own.Add(context.Background(), 1)
	for i := range 3 {
		observe(t, fmt.Sprint("pool", i), func() instrument.Stats {
			if i == 1 {
				panic("broken")
			}
			return pooltest.Full()
		}, instrument.WithMeterProvider(provider))
	}
	if err := provider.ForceFlush(context.Background()); err != nil {
		t.Fatal(err)
	}
	got := <-exporter
	if got["own"] != 1 || got[catalog.PoolLimit.Name] != 2 || got[catalog.PoolUseDuration.Name] != 2 {
		t.Errorf("exported points %v, want 1 for the own instrument and 2 for each metric of pools", got)
	}
	if len(reported) != 1 {
		t.Errorf("reported the errors %v, want one", reported)
	}
	if err := provider.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// exports is an exporter that sends the number of points of each metric to the channel.
type exports chan map[string]int

func (e exports) Export(_ context.Context, data *metricdata.ResourceMetrics) error {
	got := map[string]int{}
	for _, s := range data.ScopeMetrics {
		for _, m := range s.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				got[m.Name] += len(d.DataPoints)
			case metricdata.ExponentialHistogram[float64]:
				got[m.Name] += len(d.DataPoints)
			}
		}
	}
	select {
	case e <- got:
		return nil
	default:
		return errors.New("more exports than the test expects")
	}
}

func (exports) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

func (exports) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}
func (exports) ForceFlush(context.Context) error { return nil }
func (exports) Shutdown(context.Context) error   { return nil }

// workerStats returns a function that returns the Stats of a busy worker pool: three outcomes with
// their waits, and uses from 10 µs to 1 s. As in a real pool, the histograms are clones.
func workerStats() func() instrument.Stats {
	full := pooltest.Full()
	full.Resources, full.Create, full.CPUTime = nil, nil, [3]instrument.Optional[float64]{}
	full.Wait[instrument.Rejected], full.Wait[instrument.WasClosed] = nil, nil
	for d := 10 * time.Microsecond; d < time.Second; d += d / 10 {
		full.Use.Record(d)
	}
	return func() instrument.Stats {
		s := full
		s.Use = full.Use.Clone()
		for i, h := range full.Wait {
			if h != nil {
				s.Wait[i] = h.Clone()
			}
		}
		return s
	}
}

func BenchmarkCollect100Pools(b *testing.B) {
	p := producer.New()
	defer p.Close()
	for i := range 100 {
		observe(b, fmt.Sprint("pool", i), workerStats())
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Produce(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// Holders are reported as exemplars, which do not add series.
func TestHoldersAreReportedAsExemplars(t *testing.T) {
	p := producer.New()
	defer p.Close()
	id := trace.TraceID{0xab, 1}
	observe(t, "held", func() (s instrument.Stats) {
		s.UseAge = instrument.Some(3 * time.Second)
		s.Holders = []instrument.Holder{
			{Age: 3 * time.Second, Trace: id, Calls: []instrument.Call{
				{
					Function: "main.query",
					File:     "/src/query.go",
					Line:     12,
				},
				{Function: "main.handle", File: "/src/main.go", Line: 40},
			}},
			{Age: time.Second},
		}
		return s
	})
	data := produce(t, p)[catalog.PoolUseAge.Name].Data.(metricdata.Gauge[float64]).DataPoints
	if len(data) != 1 || data[0].Value != 3 || len(data[0].Exemplars) != 2 {
		t.Fatalf("got %+v, want one point with two exemplars", data)
	}
	first, second := data[0].Exemplars[0], data[0].Exemplars[1]
	stack := "main.query(...)\n\t/src/query.go:12\nmain.handle(...)\n\t/src/main.go:40\n"
	want := []attribute.KeyValue{
		attribute.String("code.function.name", "main.query"),
		attribute.String("code.stacktrace", stack),
	}
	if first.Value != 3 || !bytes.Equal(first.TraceID, id[:]) || !slices.Equal(first.FilteredAttributes, want) {
		t.Errorf("first exemplar: got %+v, want age, trace and calls of the first holder", first)
	}
	if second.Value != 1 || second.TraceID != nil || second.FilteredAttributes != nil {
		t.Errorf("second exemplar: got %+v, want only an age", second)
	}
}
