package prometheus

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// world simulates what a sidecar reports: every row of the table of metrics except those of pools,
// with every value of every attribute. Most values are derived from the kind of metric and are
// healthy. The values that matter to an alert are explicit.
type world struct {
	perSecond map[*catalog.Metric]float64 // growth of a counter
	value     map[*catalog.Metric]float64 // of a gauge, or what a histogram records
	// overrides the growth per second, or the value, from the onset on
	fault    func(*catalog.Metric, attribute.Set) (float64, bool)
	explicit bool          // use explicit instead of exponential buckets
	diesAt   time.Duration // when the sidecar stops reporting; 0: never

	began      time.Time
	histograms []func()
}

// healthy returns the world of a pod in which nothing is wrong.
func healthy() *world {
	return &world{
		perSecond: map[*catalog.Metric]float64{
			catalog.CgroupCPUPeriods:          10,
			catalog.CgroupCPUThrottledPeriods: 0.1,
			catalog.CgroupMemoryEvents:        0,
			catalog.SourceErrors:              0,
			catalog.ProbeSkipped:              0,
		},
		value: map[*catalog.Metric]float64{
			catalog.ContainerMemoryWorkingSet: 100e6,
			catalog.CgroupMemoryWorkingSet:    100e6,
			catalog.CgroupMemoryLimit:         256e6,
			catalog.RelayQueueUsage:           1e5,
			catalog.RelayQueueLimit:           16e6,
			catalog.ProbeCPUStretch:           1.05,
			catalog.ProbeCertificateRemaining: 90 * 86400,
		},
	}
}

// onset is when the faults of worlds and of pools begin. By then, the windows of the rules cover a
// healthy period.
const onset = 10 * time.Minute

// now returns the value of a counter since the start, the value of a gauge, or the value that a
// histogram records.
func (w *world) now(m *catalog.Metric, a attribute.Set) float64 {
	elapsed := time.Since(w.began)
	v := w.level(m)
	if m.Kind == catalog.Counter {
		v = w.rate(m, a) * elapsed.Seconds()
	}
	if w.fault == nil || elapsed < onset {
		return v
	}
	switch wrong, ok := w.fault(m, a); {
	case !ok:
		return v
	case m.Kind == catalog.Counter:
		return v + wrong*(elapsed-onset).Seconds()
	default:
		return wrong
	}
}

// rate returns how fast a healthy counter grows.
func (w *world) rate(m *catalog.Metric, a attribute.Set) float64 {
	if v, ok := w.perSecond[m]; ok {
		return v
	}
	if a.HasValue(semconv.ErrorTypeKey) {
		return 0
	}
	switch outcome, _ := a.Value(catalog.PointOutcomeKey); outcome.AsString() {
	case "rejected", "dropped", "refused":
		return 0
	}
	if m.Number == catalog.Int {
		return 1
	}
	return 0.01
}

// level returns the value of a healthy gauge, or the value that a healthy histogram records.
func (w *world) level(m *catalog.Metric) float64 {
	if v, ok := w.value[m]; ok {
		return v
	}
	if m.Kind == catalog.Histogram {
		return 0.005
	}
	return 1
}

func (w *world) dead() bool { return w.diesAt > 0 && time.Since(w.began) >= w.diesAt }

// tick records a value in each histogram.
func (w *world) tick() {
	for _, record := range w.histograms {
		record()
	}
}

func (w *world) start(t *testing.T, provider *sdkmetric.MeterProvider) {
	t.Helper()
	w.began = time.Now()
	meter := provider.Meter("world")
	rows(func(g *catalog.Group, m *catalog.Metric) {
		if g == catalog.Pool {
			return
		}
		sets := combinations(append(append([]catalog.Attribute(nil), g.Attributes...), m.Attributes...))
		if m == catalog.ProbeRuns {
			for _, s := range sets {
				sets = append(sets, attribute.NewSet(append(s.ToSlice(), semconv.ErrorTypeKey.String("timeout"))...))
			}
		}
		if err := w.register(meter, m, sets); err != nil {
			t.Fatal(err)
		}
	})
}

func (w *world) register(meter metric.Meter, m *catalog.Metric, sets []attribute.Set) error {
	if m.Kind == catalog.Histogram {
		h, err := meter.Float64Histogram(m.Name, metric.WithUnit(m.Unit))
		w.histograms = append(w.histograms, func() {
			for _, s := range sets {
				h.Record(context.Background(), w.now(m, s), metric.WithAttributeSet(s))
			}
		})
		return err
	}
	observe := metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
		for _, s := range sets {
			o.Observe(w.now(m, s), metric.WithAttributeSet(s))
		}
		return nil
	})
	var err error
	switch m.Kind {
	case catalog.Counter:
		_, err = meter.Float64ObservableCounter(m.Name, metric.WithUnit(m.Unit), observe)
	case catalog.UpDownCounter:
		_, err = meter.Float64ObservableUpDownCounter(m.Name, metric.WithUnit(m.Unit), observe)
	default:
		_, err = meter.Float64ObservableGauge(m.Name, metric.WithUnit(m.Unit), observe)
	}
	return err
}

// combinations returns all combinations of the attributes' values. An attribute with an open set of
// values has one value. The attribute error.type is left out.
func combinations(attributes []catalog.Attribute) []attribute.Set {
	lists := [][]attribute.KeyValue{nil}
	for _, a := range attributes {
		if a.Key == semconv.ErrorTypeKey {
			continue
		}
		values := a.Values
		if len(values) == 0 {
			values = []string{map[attribute.Key]string{"process.executable.name": "sidecar"}[a.Key] + ""}
			if values[0] == "" {
				values[0] = "some"
			}
		}
		var longer [][]attribute.KeyValue
		for _, l := range lists {
			for _, v := range values {
				longer = append(longer, append(append([]attribute.KeyValue(nil), l...), a.Key.String(v)))
			}
		}
		lists = longer
	}
	sets := make([]attribute.Set, len(lists))
	for i, l := range lists {
		sets[i] = attribute.NewSet(l...)
	}
	return sets
}
