package collector

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/fixture"
)

var update = flag.Bool("update", false, "rewrite what the fixtures want")

// sampler collects a pod as the sidecar does.
type sampler struct {
	tb     testing.TB
	dir    string
	reader *sdk.ManualReader
	log    strings.Builder
}

func newSampler(tb testing.TB, dir string, pod *Pod) *sampler {
	s := &sampler{tb: tb, dir: dir, reader: sdk.NewManualReader()}
	log := slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	meter := sdk.NewMeterProvider(sdk.WithReader(s.reader)).Meter("test")
	if _, err := Register(meter, log, pod.Sources()...); err != nil {
		tb.Fatal(err)
	}
	return s
}

// collect returns the points of one collection, "name{key=value,…}" to value, without the figures of the sources themselves.
func (s *sampler) collect() map[string]float64 {
	s.tb.Helper()
	var rm metricdata.ResourceMetrics
	if err := s.reader.Collect(context.Background(), &rm); err != nil {
		s.tb.Fatal(err)
	}
	points := map[string]float64{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if strings.HasPrefix(m.Name, "poolgauge.source.") {
				continue
			}
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				addPoints(points, m.Name, d.DataPoints)
			case metricdata.Sum[float64]:
				addPoints(points, m.Name, d.DataPoints)
			default:
				s.tb.Fatalf("%s is a %T", m.Name, d)
			}
		}
	}
	return points
}

func addPoints[N int64 | float64](to map[string]float64, name string, points []metricdata.DataPoint[N]) {
	for _, p := range points {
		var attrs []string
		for _, kv := range p.Attributes.ToSlice() {
			attrs = append(attrs, fmt.Sprintf("%s=%s", kv.Key, kv.Value.String()))
		}
		to[name+"{"+strings.Join(attrs, ",")+"}"] = float64(p.Value)
	}
}

// text writes points down, one a line, and the log after them.
func (s *sampler) text(points map[string]float64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(points)) {
		value := points[name]
		if strings.HasPrefix(name, "process.memory.usage{") {
			value /= float64(os.Getpagesize()) // the kernel counts it in pages
		}
		fmt.Fprintf(&b, "%s %v\n", name, value)
	}
	log := slices.Sorted(strings.Lines(s.log.String())) // containers are found in no particular order
	return strings.ReplaceAll(b.String()+strings.Join(log, ""), s.dir, "")
}

func open(t testing.TB, dir string) (*Pod, error) {
	t.Helper()
	line := func(name string) string {
		data, _ := os.ReadFile(filepath.Join(dir, name)) // most fixtures have none
		return strings.TrimSpace(string(data))
	}
	return NewPod(PodConfig{ProcRoot: dir + "/proc", CgroupRoot: line("cgroup-root"), Processes: strings.Fields(line("processes"))})
}

// TestPodFixtures collects every tree of testdata twice and compares the points and the log with its section "want".
func TestPodFixtures(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) < 7 {
		t.Fatalf("only %d fixtures", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			dir := fixture.Lay(t, file)
			pod, err := open(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			s := newSampler(t, dir, pod)
			s.collect()
			got := s.text(s.collect())
			if *update {
				data, _ := os.ReadFile(file)
				before, _, _ := strings.Cut(string(data), "-- want --\n")
				if err := os.WriteFile(file, []byte(before+"-- want --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(filepath.Join(dir, "want"))
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// What is skipped is not reported, while the own process always is.
func TestPodSkips(t *testing.T) {
	for _, name := range []string{"pod-v2-cgroup-root", "host-plain"} {
		dir := fixture.Lay(t, "testdata/"+name+".txt")
		root, _ := os.ReadFile(filepath.Join(dir, "cgroup-root")) // the plain host has none
		pod, err := NewPod(PodConfig{
			ProcRoot: dir + "/proc", CgroupRoot: strings.TrimSpace(string(root)), SkipHost: true, SkipContainers: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		s := newSampler(t, dir, pod)
		s.collect()
		for point := range s.collect() {
			if !strings.HasPrefix(point, "process.") && !strings.HasPrefix(point, "poolgauge.process.") {
				t.Errorf("%s: %s is reported", name, point)
			}
		}
		if name == "pod-v2-cgroup-root" && pod.ContainerID() == "" {
			t.Error("the own container is not known, which names the resource")
		}
	}
}
