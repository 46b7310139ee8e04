//go:build !linux

package source

import (
	"context"
	"os"
	"time"

	"github.com/shirou/gopsutil/v3/process"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Pod is just the calling process on this platform: there are no cgroups, and the sidecar does not
// report other processes.
type Pod struct{ name string }

// NewPod returns the pod of the calling process. It reads nothing and never fails.
func NewPod(cfg PodConfig) (*Pod, error) { return &Pod{cfg.Self}, nil }

// Sources returns the sources of the pod.
func (p *Pod) Sources() []collector.Named {
	return []collector.Named{{Name: "process", Source: &processSource{name: p.name}}}
}

// Close does nothing.
func (p *Pod) Close() {}

// ContainerID returns "": there are no containers.
func (p *Pod) ContainerID() string { return "" }

// Neighbor returns "": there are no containers.
func (p *Pod) Neighbor() string { return "" }

// processSource reports the calling process.
type processSource struct {
	name               string // name to report; empty means the name of the executable
	self               *process.Process
	base, user, system *collector.Attributes
}

// Collect implements [collector.Source].
func (p *processSource) Collect(ctx context.Context, s *collector.Sample) {
	if p.self == nil {
		if err := p.open(ctx); err != nil {
			s.Fail(err)
			return
		}
	}
	if times, err := p.self.TimesWithContext(ctx); err == nil {
		s.Float(catalog.ProcessCPUTime, times.User, p.user)
		s.Float(catalog.ProcessCPUTime, times.System, p.system)
	} else {
		s.Fail(err)
	}
	if memory, err := p.self.MemoryInfoWithContext(ctx); err == nil {
		s.Int(catalog.ProcessMemoryUsage, int64(memory.RSS), p.base)
		s.Int(catalog.ProcessMemoryVirtual, int64(memory.VMS), p.base)
	} else {
		s.Fail(err)
	}
	if threads, err := p.self.NumThreadsWithContext(ctx); err == nil {
		s.Int(catalog.ProcessThreadCount, int64(threads), p.base)
	} else {
		s.Fail(err)
	}
}

func (p *processSource) open(ctx context.Context) error {
	self, err := process.NewProcessWithContext(ctx, int32(os.Getpid()))
	if err != nil {
		return err
	}
	name, err := self.NameWithContext(ctx)
	if err != nil {
		return err
	}
	if p.name != "" {
		name = p.name
	}
	start := &collector.StartTime{}
	if created, err := self.CreateTimeWithContext(ctx); err == nil {
		start.At = time.UnixMilli(created)
	}
	base := processIdentity(int(self.Pid), name)
	p.base, p.user, p.system = collector.NewAttributes(
		start,
		base...), attributes(
		start,
		base,
		semconv.CPUModeUser,
	), attributes(
		start,
		base,
		semconv.CPUModeSystem,
	)
	p.self = self
	return nil
}
