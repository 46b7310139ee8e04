// Package instruments creates OpenTelemetry instruments from rows of internal/catalog, which is the
// only place that defines names, units, descriptions and kinds.
package instruments

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// boundaries holds the bucket boundaries of explicit-bucket histograms, by unit. OpenTelemetry's
// default boundaries are meant for milliseconds.
var boundaries = map[string][]float64{
	"s": {0, 1e-6, 1e-5, 1e-4, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	"1": {1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50},
}

// Boundaries returns the bucket boundaries for unit, or nil if there are none. The caller must not
// modify them.
func Boundaries(unit string) []float64 { return boundaries[unit] }

// Histogram creates the histogram instrument for m.
func Histogram(meter metric.Meter, m *catalog.Metric) (metric.Float64Histogram, error) {
	h, err := meter.Float64Histogram(
		m.Name,
		metric.WithUnit(m.Unit),
		metric.WithDescription(m.Help),
		metric.WithExplicitBucketBoundaries(boundaries[m.Unit]...),
	)
	return h, wrap(m, err)
}

// Observables holds observable instruments, one for each row.
type Observables struct {
	All    []metric.Observable // all instruments, for RegisterCallback
	ints   map[*catalog.Metric]metric.Int64Observable
	floats map[*catalog.Metric]metric.Float64Observable
}

// NewObservables creates instruments for rows, none of which may be a histogram.
func NewObservables(meter metric.Meter, rows ...*catalog.Metric) (*Observables, error) {
	o := &Observables{
		ints:   map[*catalog.Metric]metric.Int64Observable{},
		floats: map[*catalog.Metric]metric.Float64Observable{},
	}
	var errs []error
	for _, m := range rows {
		made, err := o.add(meter, m)
		o.All = append(o.All, made)
		errs = append(errs, wrap(m, err))
	}
	return o, errors.Join(errs...)
}

func (o *Observables) add(meter metric.Meter, m *catalog.Metric) (made metric.Observable, err error) {
	if m.Kind == catalog.Histogram {
		return nil, errNotObservable
	}
	unit, help := metric.WithUnit(m.Unit), metric.WithDescription(m.Help)
	if m.Number == catalog.Int {
		switch m.Kind {
		case catalog.Counter:
			o.ints[m], err = meter.Int64ObservableCounter(m.Name, unit, help)
		case catalog.UpDownCounter:
			o.ints[m], err = meter.Int64ObservableUpDownCounter(m.Name, unit, help)
		case catalog.Gauge:
			o.ints[m], err = meter.Int64ObservableGauge(m.Name, unit, help)
		}
		return o.ints[m], err
	}
	switch m.Kind {
	case catalog.Counter:
		o.floats[m], err = meter.Float64ObservableCounter(m.Name, unit, help)
	case catalog.UpDownCounter:
		o.floats[m], err = meter.Float64ObservableUpDownCounter(m.Name, unit, help)
	case catalog.Gauge:
		o.floats[m], err = meter.Float64ObservableGauge(m.Name, unit, help)
	}
	return o.floats[m], err
}

var errNotObservable = errors.New("histograms cannot be observable")

// Int reports the value v of m to the given observer. m must be one of the rows of o and have
// integer values.
func (o *Observables) Int(to metric.Observer, m *catalog.Metric, v int64, opts ...metric.ObserveOption) {
	to.ObserveInt64(o.ints[m], v, opts...)
}

// Float reports the value v of m to the given observer. m must be one of the rows of o and have
// floating-point values.
func (o *Observables) Float(to metric.Observer, m *catalog.Metric, v float64, opts ...metric.ObserveOption) {
	to.ObserveFloat64(o.floats[m], v, opts...)
}

// Recorders holds functions that record values as they occur, one for each row. For integer rows,
// they truncate the value.
type Recorders map[*catalog.Metric]func(ctx context.Context, value float64, attrs metric.MeasurementOption)

// NewRecorders creates recorders for rows, which must be counters, gauges or histograms.
func NewRecorders(meter metric.Meter, rows ...*catalog.Metric) (Recorders, error) {
	r := Recorders{}
	var errs []error
	for _, m := range rows {
		errs = append(errs, wrap(m, r.add(meter, m)))
	}
	return r, errors.Join(errs...)
}

func (r Recorders) add(meter metric.Meter, m *catalog.Metric) error {
	unit, help := metric.WithUnit(m.Unit), metric.WithDescription(m.Help)
	switch {
	case m.Kind == catalog.Counter && m.Number == catalog.Int:
		c, err := meter.Int64Counter(m.Name, unit, help)
		r[m] = func(ctx context.Context, v float64, a metric.MeasurementOption) { c.Add(ctx, int64(v), a) }
		return err
	case m.Kind == catalog.Counter:
		c, err := meter.Float64Counter(m.Name, unit, help)
		r[m] = func(ctx context.Context, v float64, a metric.MeasurementOption) { c.Add(ctx, v, a) }
		return err
	case m.Kind == catalog.Gauge && m.Number == catalog.Int:
		g, err := meter.Int64Gauge(m.Name, unit, help)
		r[m] = func(ctx context.Context, v float64, a metric.MeasurementOption) { g.Record(ctx, int64(v), a) }
		return err
	case m.Kind == catalog.Gauge:
		g, err := meter.Float64Gauge(m.Name, unit, help)
		r[m] = func(ctx context.Context, v float64, a metric.MeasurementOption) { g.Record(ctx, v, a) }
		return err
	case m.Kind == catalog.Histogram && m.Number == catalog.Float:
		h, err := Histogram(meter, m)
		r[m] = func(ctx context.Context, v float64, a metric.MeasurementOption) { h.Record(ctx, v, a) }
		return err
	default:
		return fmt.Errorf("no recorder for a %v with number type %v", m.Kind, m.Number)
	}
}

func wrap(m *catalog.Metric, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("instrument %s: %w", m.Name, err)
}
