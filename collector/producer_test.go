package collector

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// invalid is a source that yields NaN, infinite and negative values, panics once, and yields a
// valid 0.
type invalid struct{}

func (invalid) Collect(_ context.Context, s *Sample) {
	a := NewAttributes(&StartTime{})
	s.Float(catalog.SystemCPUTime, math.NaN(), a)
	s.Float(catalog.SystemCPUTime, math.Inf(1), a)
	s.Float(catalog.SystemCPUTime, -1, a)
	s.Int(catalog.SystemMemoryLimit, -1, a)
	s.Try(func() error { panic("index out of range") })
	s.Int(catalog.SystemCPULogicalCount, 0, a)
}

// Invalid values and panics count as errors of the source and yield no points. A valid 0 and the
// metrics about the source itself are still reported.
func TestInvalidValuesCountAsErrors(t *testing.T) {
	var log strings.Builder
	p := NewProducer(slog.New(slog.NewTextHandler(&log, nil)), metricdata.CumulativeTemporality,
		Named{Name: "invalid", Source: invalid{}})
	scopes, err := p.Produce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range scopes[0].Metrics {
		got[m.Name] = -1 // not a sum of integers
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			got[m.Name] = sum.DataPoints[0].Value
		}
		if gauge, ok := m.Data.(metricdata.Gauge[int64]); ok {
			got[m.Name] = gauge.DataPoints[0].Value
		}
	}
	want := map[string]int64{
		catalog.SystemCPULogicalCount.Name: 0, catalog.SourceErrors.Name: 5, catalog.SourceSuccess.Name: 0,
		catalog.SourceDuration.Name: -1,
	}
	for name, v := range want {
		if n, ok := got[name]; !ok || n != v {
			t.Errorf("%s: got %d, found %v; want %d", name, n, ok, v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got metrics %v, want %v", got, want)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 5 {
		t.Errorf("the log has %d lines, want 5, one for each error:\n%s", lines, log.String())
	}
}

// A name that is not valid UTF-8 must not cause an entire export to fail.
func TestAttributesAreUTF8(t *testing.T) {
	got := NewAttributes(&StartTime{}, attribute.String("name", "a\xffb"), attribute.Int("n", 1)).set
	if name, _ := got.Value("name"); name.AsString() != "a\uFFFDb" {
		t.Errorf("name is %q, want %q", name.AsString(), "a\uFFFDb")
	}
}
