package source

import (
	"context"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// pressureSource reports the pressure stall information of the host and of the cgroups that the
// container source reports.
type pressureSource struct {
	pod    *Pod
	seen   uint64 // see Pod.scan
	reader kernfile.Reader
	host   pressureAttributes
	files  [len(pressureResources)]kernfile.File // the host's files
}

func newPressureSource(p *Pod) *pressureSource {
	source := &pressureSource{
		pod:  p,
		seen: p.generation,
		host: newScopedPressureAttributes("host", collector.StartedAt(p.boot()), nil),
	}
	for _, r := range pressureResources {
		source.files[r] = kernfile.NewFile(p.fs.Path("pressure", r.String()))
	}
	return source
}

var pressureResources = [...]cgroup.Resource{cgroup.PressureCPU, cgroup.PressureMemory, cgroup.PressureIO}

// Collect implements [collector.Source].
func (p *pressureSource) Collect(_ context.Context, s *collector.Sample) {
	p.pod.scan(&p.seen)
	for _, resource := range pressureResources {
		if !p.pod.config.SkipHost {
			p.collectHost(s, resource)
		}
		for _, g := range p.pod.containers.list {
			g.pressure.observe(s, resource, g.Pressure(&p.reader, resource, s.Fail))
		}
	}
}

func (p *pressureSource) collectHost(s *collector.Sample, resource cgroup.Resource) {
	pressure, err := p.reader.Pressure(&p.files[resource])
	if err != nil && !kernfile.Absent(err) {
		s.Fail(err)
	}
	if resource == cgroup.PressureCPU {
		// The kernel does not define this value for the host, and writes a line of zeros only for
		// compatibility.
		pressure.Full.Defined = false
	}
	p.host.observe(s, resource, pressure)
}

// pressureAttributes holds, for each resource, the attribute sets of the points about one scope:
// the host or a cgroup.
type pressureAttributes [len(pressureResources)]struct{ some, full *collector.Attributes }

func newPressureAttributes(start *collector.StartTime, base []attribute.KeyValue) pressureAttributes {
	return newScopedPressureAttributes("cgroup", start, base)
}

func newScopedPressureAttributes(
	scope string,
	start *collector.StartTime,
	base []attribute.KeyValue,
) pressureAttributes {
	var a pressureAttributes
	for _, r := range pressureResources {
		scope, resource := catalog.PressureScopeKey.String(scope), catalog.PressureResourceKey.String(r.String())
		a[r].some = attributes(start, base, scope, resource, catalog.PressureKindKey.String("some"))
		a[r].full = attributes(start, base, scope, resource, catalog.PressureKindKey.String("full"))
	}
	return a
}

func (a *pressureAttributes) observe(s *collector.Sample, resource cgroup.Resource, p kernfile.Pressure) {
	seconds(s, catalog.PressureStallTime, p.Some, a[resource].some)
	seconds(s, catalog.PressureStallTime, p.Full, a[resource].full)
}
