package collector

import (
	"context"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// pressureSource reports the pressure stall information of the host, and of the groups that the container source reports.
type pressureSource struct {
	pod    *Pod
	seen   uint64
	reader kernfile.Reader
	host   pressureAttributes
}

func newPressureSource(p *Pod) *pressureSource {
	return &pressureSource{pod: p, seen: p.generation, host: newScopedPressureAttributes("host", nil)}
}

var pressureResources = [...]cgroup.Resource{cgroup.PressureCPU, cgroup.PressureMemory, cgroup.PressureIO}

// Collect implements [Source].
func (p *pressureSource) Collect(_ context.Context, s *Sample) {
	p.pod.scan(&p.seen)
	for _, of := range pressureResources {
		if !p.pod.config.SkipHost {
			p.collectHost(s, of)
		}
		for _, g := range p.pod.containers.list {
			g.pressure.observe(s, of, g.Pressure(&p.reader, of, s.Fail))
		}
	}
}

func (p *pressureSource) collectHost(s *Sample, of cgroup.Resource) {
	pressure, err := p.reader.Pressure(p.pod.fs.Path("pressure", of.String()))
	if err != nil && !kernfile.Absent(err) {
		s.Fail(err)
	}
	if of == cgroup.PressureCPU {
		// For the whole host the kernel leaves this undefined, and has a line of zeros for compatibility.
		pressure.Full.Defined = false
	}
	p.host.observe(s, of, pressure)
}

// pressureAttributes are the attribute sets of the points of one scope, by resource.
type pressureAttributes [len(pressureResources)]struct{ some, full Attributes }

func newPressureAttributes(base []attribute.KeyValue) pressureAttributes {
	return newScopedPressureAttributes("cgroup", base)
}

func newScopedPressureAttributes(scope string, base []attribute.KeyValue) pressureAttributes {
	var a pressureAttributes
	for _, r := range pressureResources {
		scope, resource := catalog.PressureScopeKey.String(scope), catalog.PressureResourceKey.String(r.String())
		a[r].some = with(base, scope, resource, catalog.PressureKindKey.String("some"))
		a[r].full = with(base, scope, resource, catalog.PressureKindKey.String("full"))
	}
	return a
}

func (a *pressureAttributes) observe(s *Sample, of cgroup.Resource, p kernfile.Pressure) {
	seconds(s, catalog.PressureStallTime, p.Some, a[of].some)
	seconds(s, catalog.PressureStallTime, p.Full, a[of].full)
}
