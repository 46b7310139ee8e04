package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// result is what one run found.
type result struct {
	points []point
	err    error         // why the run failed, nil if it did not
	kind   string        // the error.type of err
	cost   time.Duration // CPU time of threads other than the one that ran the probe
}

// point is one value of a row of the catalogue.
type point struct {
	metric *catalog.Metric
	series
	value float64
}

// series tells the points of one metric of one probe apart; empty fields are attributes left out.
type series struct{ phase, errorType string }

func (r *result) add(m *catalog.Metric, value float64) {
	r.points = append(r.points, point{metric: m, value: value})
}

// phase adds the time since start as that of a phase which ended well.
func (r *result) phase(name string, start time.Time) {
	r.points = append(r.points, point{catalog.ProbeDuration, series{phase: name}, time.Since(start).Seconds()})
}

// fail adds the time since start as that of a phase which ended the run with err.
func (r *result) fail(name string, start time.Time, kind string, err error) {
	r.points = append(r.points, point{catalog.ProbeDuration, series{name, kind}, time.Since(start).Seconds()})
	r.err, r.kind = err, kind
}

// instruments record a value of each row of the group Probe.
type instruments map[*catalog.Metric]func(ctx context.Context, value float64, attrs metric.MeasurementOption)

func newInstruments(meter metric.Meter) (instruments, error) {
	in := instruments{}
	var errs []error
	for _, m := range catalog.Probe.Metrics {
		if err := in.add(meter, m); err != nil {
			errs = append(errs, fmt.Errorf("instrument %s: %w", m.Name, err))
		}
	}
	return in, errors.Join(errs...)
}

func (in instruments) add(meter metric.Meter, m *catalog.Metric) error {
	unit, help := metric.WithUnit(m.Unit), metric.WithDescription(m.Help)
	switch {
	case m.Kind == catalog.Counter && m.Number == catalog.Int:
		c, err := meter.Int64Counter(m.Name, unit, help)
		in[m] = func(ctx context.Context, v float64, a metric.MeasurementOption) { c.Add(ctx, int64(v), a) }
		return err
	case m.Kind == catalog.Counter:
		c, err := meter.Float64Counter(m.Name, unit, help)
		in[m] = func(ctx context.Context, v float64, a metric.MeasurementOption) { c.Add(ctx, v, a) }
		return err
	case m.Kind == catalog.Gauge && m.Number == catalog.Int:
		g, err := meter.Int64Gauge(m.Name, unit, help)
		in[m] = func(ctx context.Context, v float64, a metric.MeasurementOption) { g.Record(ctx, int64(v), a) }
		return err
	case m.Kind == catalog.Gauge:
		g, err := meter.Float64Gauge(m.Name, unit, help)
		in[m] = func(ctx context.Context, v float64, a metric.MeasurementOption) { g.Record(ctx, v, a) }
		return err
	case m.Kind == catalog.Histogram && m.Number == catalog.Float:
		h, err := meter.Float64Histogram(m.Name, unit, help, metric.WithExplicitBucketBoundaries(boundaries[m.Unit]...))
		in[m] = func(ctx context.Context, v float64, a metric.MeasurementOption) { h.Record(ctx, v, a) }
		return err
	}
	return fmt.Errorf("no probe records a %v of this number type", m.Kind)
}

// boundaries serve readers that ask for explicit buckets, by unit; exponential histograms need none.
var boundaries = map[string][]float64{
	"s": {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
	"1": {1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50},
}

// attributes builds the attribute sets of one probe, each once.
type attributes struct {
	base  []attribute.KeyValue
	built map[series]metric.MeasurementOption
}

func newAttributes(name, target string) attributes {
	base := []attribute.KeyValue{catalog.ProbeNameKey.String(name)}
	if target != "" {
		base = append(base, catalog.ProbeTargetKey.String(target))
	}
	return attributes{base: base, built: map[series]metric.MeasurementOption{}}
}

// of returns the set of s. It is not safe for concurrent use.
func (a attributes) of(s series) metric.MeasurementOption {
	if set, ok := a.built[s]; ok {
		return set
	}
	kv := append([]attribute.KeyValue(nil), a.base...)
	if s.phase != "" {
		kv = append(kv, catalog.ProbePhaseKey.String(s.phase))
	}
	if s.errorType != "" {
		kv = append(kv, semconv.ErrorTypeKey.String(s.errorType))
	}
	a.built[s] = metric.WithAttributeSet(attribute.NewSet(kv...))
	return a.built[s]
}

// skipped returns the sets of the skip counter, by reason.
func (a attributes) skipped() map[string]metric.MeasurementOption {
	sets := map[string]metric.MeasurementOption{}
	for _, reason := range []string{skipRunning, skipBudget, skipQuota} {
		kv := append([]attribute.KeyValue{catalog.ProbeSkipReasonKey.String(reason)}, a.base...)
		sets[reason] = metric.WithAttributeSet(attribute.NewSet(kv...))
	}
	return sets
}
