package source

import (
	"context"
	"log/slog"
	"syscall"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/internal/fixture"
)

// BenchmarkSources measures one collection of each source, without the SDK, on this machine and on
// a fixture with one container below three ancestors. The files of the fixture are on a disk, and
// are cheaper to read than the kernel's.
func BenchmarkSources(b *testing.B) {
	b.Run("machine", func(b *testing.B) {
		benchmarkSources(b, PodConfig{})
	})
	b.Run("fixture", func(b *testing.B) {
		dir := fixture.Lay(b, "testdata/pod-v2-cgroup-root.txt")
		benchmarkSources(b, PodConfig{ProcRoot: dir + "/proc", CgroupRoot: dir + "/host/sys/fs/cgroup"})
	})
}

func benchmarkSources(b *testing.B, cfg PodConfig) {
	pod, err := NewPod(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pod.Close)
	for _, s := range append([]collector.Named{{Name: "host", Source: NewHost()}, {Name: "network", Source: NewNetwork()}}, pod.Sources()...) {
		b.Run(s.Name, func(b *testing.B) {
			producer := collector.NewProducer(slog.New(slog.DiscardHandler), metricdata.CumulativeTemporality, s)
			points := 0
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				scopes, _ := producer.Produce(context.Background()) // never returns an error
				points = len(scopes[0].Metrics)
			}
			// Unlike the wall time, this does not depend on how busy the machine is.
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(points), "metrics")
		})
	}
}

// BenchmarkCollection measures an entire collection on this machine with the SDK's reader.
func BenchmarkCollection(b *testing.B) {
	pod, err := NewPod(PodConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pod.Close)
	sources := append([]collector.Named{{Name: "host", Source: NewHost()}}, pod.Sources()...)
	producer := collector.NewProducer(slog.New(slog.DiscardHandler), metricdata.CumulativeTemporality, sources...)
	reader := sdk.NewManualReader(sdk.WithProducer(producer))
	sdk.NewMeterProvider(sdk.WithReader(reader))
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		rm := &metricdata.ResourceMetrics{}
		if err := reader.Collect(context.Background(), rm); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime returns the CPU time of the process in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
