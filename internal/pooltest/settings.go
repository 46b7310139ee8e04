package pooltest

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Pool is a pool under test.
type Pool struct {
	Use   func() // one successful use, from the request to its end
	Close func()
}

// Settings tests a pool in each setting: with a Producer on the reader, with only a MeterProvider,
// and without telemetry. In the first two settings, it checks that every use is reported with the
// given kind of pool, and that the last values of a closed pool are still reported. open returns a
// pool with the given name and options.
func Settings(t *testing.T, kind string, open func(name string, opts ...instrument.Option) (Pool, error)) {
	t.Run("producer", func(t *testing.T) {
		p := producer.New()
		defer p.Close()
		reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(p))
		checkReports(t, kind, reader, open)
	})
	t.Run("provider", func(t *testing.T) {
		checkReports(t, kind, sdkmetric.NewManualReader(), open)
	})
	t.Run("off", func(t *testing.T) {
		p := mustOpen(t, "off", open, instrument.WithoutTelemetry())
		sameName := mustOpen(t, "off", open, instrument.WithoutTelemetry())
		p.Use()
		p.Close()
		sameName.Close()
	})
}

func mustOpen(
	t *testing.T,
	name string,
	open func(string, ...instrument.Option) (Pool, error),
	opts ...instrument.Option,
) Pool {
	t.Helper()
	p, err := open(name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkReports checks what reader collects from a pool before and after the pool is closed.
func checkReports(
	t *testing.T,
	kind string,
	reader *sdkmetric.ManualReader,
	open func(string, ...instrument.Option) (Pool, error),
) {
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	pool := mustOpen(t, "tested", open, instrument.WithMeterProvider(provider), instrument.WithExactTiming())
	const uses = 100
	for range uses {
		pool.Use()
	}
	checkUses(t, kind, Collect(t, reader), uses)
	pool.Use()
	pool.Close()
	for range 2 { // the last values are reported for two minutes
		checkUses(t, kind, Collect(t, reader), uses+1)
	}
}

// checkUses checks that got, the result of a collection, contains the given number of uses, all of
// them successful.
func checkUses(t *testing.T, kind string, got map[Series]float64, uses float64) {
	t.Helper()
	with := func(outcome string) attribute.Distinct {
		set := attribute.NewSet(
			catalog.PoolNameKey.String("tested"),
			catalog.PoolKindKey.String(kind),
			catalog.PoolOutcomeKey.String(outcome),
		)
		return set.Equivalent()
	}
	acquired, ok := with(instrument.Acquired.String()), with(instrument.OK.String())
	for series, what := range map[Series]string{
		{catalog.PoolRequests.Name, acquired}:     "requests acquired",
		{catalog.PoolWaitDuration.Name, acquired}: "waits of acquired requests",
		{catalog.PoolCompleted.Name, ok}:          "uses completed",
	} {
		if n := got[series]; n != uses {
			t.Errorf("got %v %s, want %v; all series: %v", n, what, uses, got)
		}
	}
}

// Series identifies a series in a collection.
type Series struct {
	Metric     string
	Attributes attribute.Distinct
}

// Collect returns the value of every series that reader collects, or the count for a histogram. It
// fails the test if a series occurs twice.
func Collect(t testing.TB, reader sdkmetric.Reader) map[Series]float64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	got := map[Series]float64{}
	add := func(name string, attributes attribute.Set, v float64) {
		key := Series{name, attributes.Equivalent()}
		if _, twice := got[key]; twice {
			t.Errorf("%s%v was collected twice", name, attributes.Encoded(attribute.DefaultEncoder()))
		}
		got[key] = v
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			each(m.Data, func(attributes attribute.Set, v float64) { add(m.Name, attributes, v) })
		}
	}
	return got
}

func each(data metricdata.Aggregation, yield func(attribute.Set, float64)) {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		numbers(d.DataPoints, yield)
	case metricdata.Sum[float64]:
		numbers(d.DataPoints, yield)
	case metricdata.Gauge[int64]:
		numbers(d.DataPoints, yield)
	case metricdata.Gauge[float64]:
		numbers(d.DataPoints, yield)
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			yield(p.Attributes, float64(p.Count))
		}
	case metricdata.ExponentialHistogram[float64]:
		for _, p := range d.DataPoints {
			yield(p.Attributes, float64(p.Count))
		}
	}
}

func numbers[N int64 | float64](points []metricdata.DataPoint[N], yield func(attribute.Set, float64)) {
	for _, p := range points {
		yield(p.Attributes, float64(p.Value))
	}
}
