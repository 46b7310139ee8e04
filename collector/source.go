// Package collector samples what an app cannot see from inside: the host, the control groups, pressure, and the processes of
// its pod. Each of these is a [Source]; [Register] makes them read at every collection of an OpenTelemetry meter.
//
// Data flows one way: a source is sampled, its values are recorded in instruments made from the rows of internal/catalog, and
// collector/export hands each collection on. Probes run on their own schedule, in collector/probe.
package collector

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// Source reads one part of the machine.
type Source interface {
	// Collect reads the source once and hands each value that it got to s. A value that is absent is left out; one that
	// should be there and cannot be read or understood is reported with s.Fail and costs only itself. Collect is never
	// called concurrently, so a source may keep buffers and previous values without a lock. It must not block: it reads
	// files of the kernel and nothing else.
	Collect(ctx context.Context, s *Sample)
}

// Named is a source under the name that its figures about itself carry.
type Named struct {
	Name   string         // value of poolgauge.source
	Group  *catalog.Group // the rows that it may observe
	Source Source
}

// Sample takes the values of one reading of one source. It is valid only during the call of Collect that it was passed to.
type Sample struct {
	observer    metric.Observer
	instruments *instruments.Observables
	errs        []error
}

// Attributes are the attributes of a point, built once and used at every collection.
type Attributes = metric.ObserveOption

// With builds Attributes; sources call it when they first see a series, not at every collection.
//
// Bytes that are not UTF-8, as a file name may have, are replaced: OTLP would refuse the whole export for one of them.
func With(kv ...attribute.KeyValue) Attributes {
	valid := slices.Clone(kv)
	for i, a := range valid {
		if a.Value.Type() == attribute.STRING {
			valid[i] = a.Key.String(strings.ToValidUTF8(a.Value.AsString(), "\uFFFD"))
		}
	}
	return metric.WithAttributeSet(attribute.NewSet(valid...))
}

// Float observes v, in the unit of the row m. What a source reads is never negative: such a value, or one that is no number, fails.
func (s *Sample) Float(m *catalog.Metric, v float64, attrs ...Attributes) {
	if !(v >= 0) || math.IsInf(v, 1) {
		s.Fail(fmt.Errorf("%s: %v cannot be", m.Name, v))
		return
	}
	s.instruments.Float(s.observer, m, v, attrs...)
}

// Int observes v, in the unit of the row m. A negative one fails.
func (s *Sample) Int(m *catalog.Metric, v int64, attrs ...Attributes) {
	if v < 0 {
		s.Fail(fmt.Errorf("%s: %d cannot be", m.Name, v))
		return
	}
	s.instruments.Int(s.observer, m, v, attrs...)
}

// Try calls read, which may use a library that panics on input that it does not expect; that fails like an error.
func (s *Sample) Try(read func() error) {
	defer func() {
		if v := recover(); v != nil {
			s.Fail(fmt.Errorf("not understood: %v", v))
		}
	}()
	s.Fail(read())
}

// Fail reports a value that could not be read or understood. The error is counted, and logged once until it goes away.
func (s *Sample) Fail(err error) {
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

// Register makes every collection of meter's reader read the sources, one after the other in the order given, and report for
// each how long that took, whether it succeeded and how many values failed. Reading never fails as a whole.
func Register(meter metric.Meter, log *slog.Logger, sources ...Named) (metric.Registration, error) {
	c := &collection{log: log}
	rows := []*catalog.Metric{catalog.SourceDuration, catalog.SourceSuccess, catalog.SourceErrors}
	for _, s := range sources {
		rows = append(rows, s.Group.Metrics...)
		c.sources = append(c.sources, &source{Named: s, self: With(catalog.SourceKey.String(s.Name))})
	}
	var err error
	if c.instruments, err = instruments.NewObservables(meter, rows...); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(c.collect, c.instruments.All...)
}

// collection is the callback that reads all sources. The SDK never runs a callback concurrently with itself for one reader,
// and the sidecar has one reader.
type collection struct {
	log         *slog.Logger
	instruments *instruments.Observables
	sources     []*source
}

type source struct {
	Named
	self   Attributes
	errors int64
	said   map[string]bool // errors of the last reading, by text
}

func (c *collection) collect(ctx context.Context, o metric.Observer) error {
	for _, src := range c.sources {
		s := &Sample{observer: o, instruments: c.instruments}
		start := time.Now()
		src.Source.Collect(ctx, s)
		s.Float(catalog.SourceDuration, time.Since(start).Seconds(), src.self)
		success := int64(1)
		if len(s.errs) > 0 {
			success = 0
		}
		s.Int(catalog.SourceSuccess, success, src.self)
		src.errors += int64(len(s.errs))
		s.Int(catalog.SourceErrors, src.errors, src.self)
		src.report(c.log, s.errs)
	}
	return nil
}

// report logs the errors that the last reading did not have, and says when a source that had errors has none.
func (s *source) report(log *slog.Logger, errs []error) {
	if len(errs) == 0 {
		if len(s.said) > 0 {
			log.Info("source reads everything again", "source", s.Name)
			s.said = nil
		}
		return
	}
	now := make(map[string]bool, len(errs))
	for _, err := range errs {
		text := err.Error()
		if !s.said[text] && !now[text] {
			log.Warn("source cannot read a value", "source", s.Name, "error", text)
		}
		now[text] = true
	}
	s.said = now
}
