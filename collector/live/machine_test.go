package live

import (
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// The picture shows every probe of the catalog that has a target, in the catalog's order.
func TestEveryProbeWithATargetIsShown(t *testing.T) {
	o := &own{at: time.Unix(1000, 0), metrics: map[string]*metricdata.Sum[float64]{}}
	for _, name := range slices.Backward(catalog.ProbeNames) {
		o.add(catalog.ProbeRuns, 1, catalog.ProbeNameKey.String(name), catalog.ProbeTargetKey.String("there"))
	}
	m := newMachine()
	m.advance(o.collection(), "")
	var shown []string
	for _, p := range m.shown.Probes {
		shown = append(shown, p.Name)
	}
	if !slices.Equal(shown, catalog.ProbeNames) {
		t.Errorf("got %q, want %q", shown, catalog.ProbeNames)
	}
}

// The only points of a container that was killed since the previous collection are its last memory
// events, which have its ID. The sidecar's own cgroup has no ID.
func TestShownContainers(t *testing.T) {
	root := catalog.CgroupPathKey.String("/")
	o := ownAt(0)
	o.add(catalog.ContainerCPUTime, 1, root)
	o.add(catalog.ContainerCPUTime, 1, root, semconv.ContainerID("app"))
	o.add(catalog.CgroupMemoryEvents, 0, root, semconv.ContainerID("app"))
	o.add(catalog.CgroupMemoryEvents, 1, root, semconv.ContainerID("killed"))
	o.add(catalog.CgroupMemoryEvents, 0, catalog.CgroupPathKey.String("/without-cpu-time"))
	m := newMachine()
	m.advance(o.collection(), "")
	var shown []string
	for _, c := range m.shown.Containers {
		shown = append(shown, c.Path+c.ID)
	}
	if want := []string{"/", "/app", "/killed"}; !slices.Equal(shown, want) {
		t.Errorf("got %q, want %q", shown, want)
	}
}

func TestPipelineHasTheRatesOfEachLane(t *testing.T) {
	l := New(Config{Upstream: "https://upstream"})
	for n, points := range []float64{100, 500} {
		o := ownAt(n)
		for lane, share := range map[string]float64{"traces": 0.5, "metrics": 1} {
			of := catalog.LaneKey.String(lane)
			o.add(catalog.RelayPoints, points*share, of, catalog.PointOutcomeKey.String("accepted"))
			o.add(catalog.RelayPoints, points*share/2, of, catalog.PointOutcomeKey.String("sent"))
			o.add(catalog.RelayQueuePoints, 7*share, of)
		}
		l.Collect(o.collection())
	}
	p := l.Picture().Pipeline
	if p.Upstream != "https://upstream" || len(p.Lanes) != 2 {
		t.Fatalf("got %+v, want two lanes to the upstream", p)
	}
	for i, want := range []Lane{
		{Name: "metrics", Queued: Known(7), Accepted: Known(40), Sent: Known(20)},
		{Name: "traces", Queued: Known(3.5), Accepted: Known(20), Sent: Known(10)},
	} {
		if p.Lanes[i] != want {
			t.Errorf("got %+v, want %+v", p.Lanes[i], want)
		}
	}
}

func TestStealVerdictNeedsALargeShareOfStolenTime(t *testing.T) {
	for name, c := range map[string]struct {
		stolen float64
		want   string
	}{"a fifth": {20, "steal"}, "a twentieth": {5, ""}} {
		l := New(Config{})
		for n := range 4 {
			o := ownAt(n)
			for mode, share := range map[attribute.KeyValue]float64{
				semconv.CPUModeSteal: c.stolen, semconv.CPUModeIdle: 100 - c.stolen,
			} {
				o.add(catalog.SystemCPUTime, float64(n)*share, mode)
			}
			l.Collect(o.collection())
		}
		if got := l.Picture().Host.Verdict; got != c.want {
			t.Errorf("%s of the CPU time is stolen: got verdict %q, want %q", name, got, c.want)
		}
	}
}
