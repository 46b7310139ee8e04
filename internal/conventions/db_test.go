package conventions_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/conventions"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

// Every metric in the group is emitted, through a Producer and through a MeterProvider, but only
// with WithConventions.
func TestDBReportsItsGroup(t *testing.T) {
	for name, withProducer := range map[string]bool{"producer": true, "provider": false} {
		t.Run(name, func(t *testing.T) {
			var opts []sdkmetric.ManualReaderOption
			if withProducer {
				p := producer.New()
				defer p.Close()
				opts = append(opts, sdkmetric.WithProducer(p))
			}
			reader := sdkmetric.NewManualReader(opts...)
			provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
			plain := observe(t, reader, provider)
			if n := len(plain); n != 0 {
				t.Errorf("without WithConventions: got %d series of the convention, want none", n)
			}
			got := observe(
				t,
				reader,
				provider,
				instrument.WithConventions(),
				instrument.WithAttributes(attribute.String("shop", "x")),
			)
			set := attribute.NewSet(
				attribute.String("shop", "x"),
				attribute.String("db.client.connection.pool.name", "orders"),
			)
			for _, m := range catalog.DBClient.Metrics {
				if m != catalog.DBConnectionCount &&
					got[pooltest.Series{Metric: m.Name, Attributes: set.Equivalent()}] == 0 {
					t.Errorf("%s is not emitted with the expected attributes: got %v", m.Name, got)
				}
			}
			for _, state := range catalog.DBConnectionCount.Attributes[0].Values {
				set := attribute.NewSet(append(set.ToSlice(), attribute.String("db.client.connection.state", state))...)
				if got[pooltest.Series{Metric: catalog.DBConnectionCount.Name, Attributes: set.Equivalent()}] != 1 {
					t.Errorf("state %s: want a count of 1, got %v", state, got)
				}
			}
		})
	}
}

// observe registers a pool with opts and returns the convention's metrics that it emits.
func observe(
	t *testing.T, reader sdkmetric.Reader, provider *sdkmetric.MeterProvider, opts ...instrument.Option,
) map[pooltest.Series]float64 {
	t.Helper()
	opts = append(opts, conventions.DB("orders"), instrument.WithMeterProvider(provider))
	r, err := instrument.Observe("orders", "sql", pooltest.Full, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := pooltest.Collect(t, reader)
	for s := range got {
		if !strings.HasPrefix(s.Metric, catalog.DBClient.Name+".") {
			delete(got, s)
		}
	}
	return got
}
