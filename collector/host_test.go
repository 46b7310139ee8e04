package collector

import (
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// collectOne collects one source and returns its points by metric, the number of errors and the
// log.
func collectOne(t *testing.T, source Source) (values map[string][]float64, failures float64, log string) {
	t.Helper()
	var text strings.Builder
	producer := NewProducer(
		slog.New(slog.NewTextHandler(&text, nil)),
		metricdata.CumulativeTemporality,
		Named{Name: "test", Source: source},
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
		t.Errorf("failed: %s", log)
	}
	if cpus := values[catalog.SystemCPULogicalCount.Name]; len(cpus) != 1 || cpus[0] < float64(runtime.NumCPU()) {
		t.Errorf("CPUs %v, the process may use %d", cpus, runtime.NumCPU())
	}
	if limit := values[catalog.SystemMemoryLimit.Name]; runtime.GOOS == "linux" &&
		sum(values[catalog.SystemMemoryUsage.Name]) != limit[0] {
		t.Errorf("memory by state %v does not add up to %v", values[catalog.SystemMemoryUsage.Name], limit)
	}
}

// Garbage where the kernel writes figures costs the metrics of that file, is counted, and never
// becomes a figure.
func TestHostGarbage(t *testing.T) {
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
				if failures == 0 && file != "loadavg" { // for which there is a system call as well
					t.Error("not counted")
				}
				for metric, points := range values {
					for _, v := range points {
						if v < 0 || math.IsNaN(v) || v > 1<<52 {
							t.Errorf("%s: %v", metric, v)
						}
					}
				}
			})
		}
	}
}

// broken is a source of figures that cannot be.
type broken struct{}

func (broken) Collect(_ context.Context, s *Sample) {
	a := With(&Birth{})
	s.Float(catalog.SystemCPUTime, math.NaN(), a)
	s.Float(catalog.SystemCPUTime, math.Inf(1), a)
	s.Float(catalog.SystemCPUTime, -1, a)
	s.Int(catalog.SystemMemoryLimit, -1, a)
	s.Try(func() error { panic("index out of range") })
	s.Int(catalog.SystemCPULogicalCount, 0, a)
}

func TestFiguresThatCannotBe(t *testing.T) {
	values, failures, log := collectOne(t, broken{})
	if failures != 5 || len(values[catalog.SystemCPUTime.Name])+len(values[catalog.SystemMemoryLimit.Name]) != 0 {
		t.Errorf("%v failures, points %v", failures, values)
	}
	if got := values[catalog.SystemCPULogicalCount.Name]; len(got) != 1 || got[0] != 0 {
		t.Errorf("a 0 that is one: %v", got)
	}
	if lines := strings.Count(log, "\n"); lines != 5 {
		t.Errorf("%d lines in the log, want one for each error:\n%s", lines, log)
	}
}

// A name that is not UTF-8 must not cost the export that it is part of.
func TestAttributesAreUTF8(t *testing.T) {
	got := With(&Birth{}, attribute.String("name", "a\xffb"), attribute.Int("n", 1)).set
	if name, _ := got.Value("name"); name.AsString() != "a\uFFFDb" {
		t.Errorf("got %q", name.AsString())
	}
}
