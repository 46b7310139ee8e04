package collector

import (
	"context"
	"syscall"
	"testing"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/poolgauge/poolgauge/internal/fixture"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// BenchmarkSources measures one collection of each source without the SDK: on this machine, and of a fixture pod of one
// container below three ancestors in files of a disk's file system, which cost less than the kernel's.
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
	for _, s := range pod.Sources() {
		b.Run(s.Name, func(b *testing.B) {
			in, err := instruments.NewObservables(noop.Meter{}, s.Group.Metrics...)
			if err != nil {
				b.Fatal(err)
			}
			observer := &counter{}
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				observer.points = 0
				s.Source.Collect(context.Background(), &Sample{observer: observer, instruments: in})
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op") // holds on a busy machine
			b.ReportMetric(float64(observer.points), "points")
		})
	}
}

// cpuTime is what the process has used.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// counter is an observer that only counts.
type counter struct {
	embedded.Observer
	points int
}

func (c *counter) ObserveFloat64(metric.Float64Observable, float64, ...metric.ObserveOption) {
	c.points++
}

func (c *counter) ObserveInt64(metric.Int64Observable, int64, ...metric.ObserveOption) { c.points++ }
