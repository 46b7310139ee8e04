package source

import (
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// collectOne collects one source and returns the values of its points by metric, the number of
// errors and the log.
func collectOne(t *testing.T, source collector.Source) (values map[string][]float64, failures float64, log string) {
	t.Helper()
	var text strings.Builder
	producer := collector.NewProducer(
		slog.New(slog.NewTextHandler(&text, nil)),
		metricdata.CumulativeTemporality,
		collector.Named{Name: "test", Source: source},
	)
	scopes, err := producer.Produce(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	values = map[string][]float64{}
	for _, m := range scopes[0].Metrics {
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			values[m.Name] = append(values[m.Name], pointValues(d.DataPoints)...)
		case metricdata.Sum[float64]:
			values[m.Name] = append(values[m.Name], pointValues(d.DataPoints)...)
		case metricdata.Gauge[int64]:
			values[m.Name] = append(values[m.Name], pointValues(d.DataPoints)...)
		case metricdata.Gauge[float64]:
			values[m.Name] = append(values[m.Name], pointValues(d.DataPoints)...)
		}
	}
	return values, values[catalog.SourceErrors.Name][0], text.String()
}

func pointValues[N int64 | float64](points []metricdata.DataPoint[N]) (values []float64) {
	for _, p := range points {
		values = append(values, float64(p.Value))
	}
	return values
}

func sum(values []float64) (s float64) {
	for _, v := range values {
		s += v
	}
	return s
}

func TestHostOfThisMachine(t *testing.T) {
	values, failures, log := collectOne(t, NewHost())
	if failures != 0 {
		t.Errorf("%v errors, want none:\n%s", failures, log)
	}
	if cpus := values[catalog.SystemCPULogicalCount.Name]; len(cpus) != 1 || cpus[0] < float64(runtime.NumCPU()) {
		t.Errorf("got the CPU counts %v, want one of at least %d", cpus, runtime.NumCPU())
	}
	if limit := values[catalog.SystemMemoryLimit.Name]; runtime.GOOS == "linux" &&
		sum(values[catalog.SystemMemoryUsage.Name]) != limit[0] {
		t.Errorf("memory by state %v does not add up to %v", values[catalog.SystemMemoryUsage.Name], limit)
	}
}

// Garbage in a file counts as an error and never becomes a value.
func TestGarbageNeverBecomesAValue(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	for _, file := range []string{"stat", "loadavg", "meminfo", "vmstat"} {
		for name, content := range map[string]string{
			"empty": "", "binary": "\x00\xff\n", "truncated": "cpu 1\nMemTotal", "words": "cpu a b c d\nMemTotal: x kB\nnan inf -1\n",
			"negative": "cpu -5 nan inf 1 1 1 1 1 1 1\n-1 -1 -1 1/1 1\nMemTotal: 1 kB\nMemFree: 2 kB\npgfault 1\npgmajfault 9\n",
		} {
			t.Run(file+" "+name, func(t *testing.T) {
				dir := t.TempDir()
				for _, other := range []string{"stat", "loadavg", "meminfo", "vmstat", "cpuinfo"} {
					data, err := os.ReadFile("/proc/" + other)
					if err != nil {
						t.Fatal(err)
					}
					if other == file {
						data = []byte(content)
					}
					if err := os.WriteFile(filepath.Join(dir, other), data, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				t.Setenv("HOST_PROC", dir)
				values, failures, _ := collectOne(t, NewHost())
				if failures == 0 && file != "loadavg" { // some of it is a valid load average
					t.Error("no error was counted")
				}
				for metric, points := range values {
					for _, v := range points {
						if v < 0 || math.IsNaN(v) || v > 1<<52 {
							t.Errorf("%s: implausible value %v", metric, v)
						}
					}
				}
			})
		}
	}
}
