package telemetry

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func TestConsolePrintsTable(t *testing.T) {
	var printed strings.Builder
	env, err := read(map[string]string{"OTEL_METRICS_EXPORTER": "console"})
	if err != nil {
		t.Fatal(err)
	}
	env.interval = time.Hour
	if e, err := env.newExporter(t.Context()); err != nil {
		t.Errorf("newExporter returned a %T and error %v", e, err)
	}
	otel.SetMeterProvider(noop.NewMeterProvider())
	s := newSession(env, &outageExporter{Exporter: console{&printed}}, sdkmetric.WithResource(detect(t.Context(), nil)))
	pool, err := instrument.Observe("uploads", "semaphore", pooltest.Full)
	if err != nil {
		t.Fatal(err)
	}
	pool.Close()
	if err := s.shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"poolgauge.pool.limit kind=semaphore name=uploads 1",
		"poolgauge.pool.usage kind=semaphore name=uploads state=idle 1",
		"poolgauge.pool.use.duration kind=semaphore name=uploads 6, mean 0.007, max 0.04 s",
		"poolgauge.pool.pending.age kind=semaphore name=uploads 1 s",
	} {
		found := false
		for row := range strings.Lines(printed.String()) {
			found = found || strings.Join(strings.Fields(row), " ") == line
		}
		if !found {
			t.Errorf("%q is missing from\n%s", line, printed.String())
		}
	}
}
