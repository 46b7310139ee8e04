package probe

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder has the instruments of all probe metrics, and reads what a test recorded with them.
type recorder struct {
	recorders instruments.Recorders
	reader    *sdk.ManualReader
}

func newRecorder(t *testing.T) recorder {
	t.Helper()
	reader := sdk.NewManualReader()
	recorders, err := instruments.NewRecorders(
		sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"),
		catalog.Probe.Metrics...)
	if err != nil {
		t.Fatal(err)
	}
	return recorder{recorders, reader}
}

// sample is one point. value is the count of a histogram, or the value of any other metric.
type sample struct {
	attributes attribute.Set
	value      float64
	sum        float64 // of a histogram
}

func (r recorder) samples(t *testing.T, m *catalog.Metric) (out []sample) {
	t.Helper()
	for _, d := range collect(t, r.reader) {
		if d.Name != m.Name {
			continue
		}
		switch data := d.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				out = append(out, sample{p.Attributes, float64(p.Value), 0})
			}
		case metricdata.Sum[float64]:
			for _, p := range data.DataPoints {
				out = append(out, sample{p.Attributes, p.Value, 0})
			}
		case metricdata.Gauge[int64]:
			for _, p := range data.DataPoints {
				out = append(out, sample{p.Attributes, float64(p.Value), 0})
			}
		case metricdata.Gauge[float64]:
			for _, p := range data.DataPoints {
				out = append(out, sample{p.Attributes, p.Value, 0})
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				out = append(out, sample{p.Attributes, float64(p.Count), p.Sum})
			}
		default:
			t.Fatalf("%s: unexpected %T", d.Name, d.Data)
		}
	}
	return out
}

func collect(t *testing.T, reader *sdk.ManualReader) []metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	var all []metricdata.Metrics
	for _, scope := range rm.ScopeMetrics {
		all = append(all, scope.Metrics...)
	}
	return all
}

// value returns the value of the point of m that has all of the given attributes, each as
// "key=value", or 0 if there is none.
func (r recorder) value(t *testing.T, m *catalog.Metric, attrs ...string) float64 {
	t.Helper()
	for _, s := range r.samples(t, m) {
		text := fmt.Sprintf(",%s,", s.attributes.Encoded(attribute.DefaultEncoder()))
		matches := true
		for _, a := range attrs {
			matches = matches && strings.Contains(text, ","+a+",")
		}
		if matches {
			return s.value
		}
	}
	return 0
}

// newLog returns a logger and its output. The output must not be read while anything may still log.
func newLog() (*slog.Logger, *strings.Builder) {
	var out strings.Builder
	return slog.New(slog.NewTextHandler(&out, nil)), &out
}

// phases lists the phases of a result in order, a failed one as "phase:error.type".
func phases(r result) (out []string) {
	for _, p := range r.points {
		if p.metric != catalog.ProbeDuration {
			continue
		}
		name := p.phase
		if p.errorType != "" {
			name += ":" + p.errorType
		}
		out = append(out, name)
	}
	return out
}
