package probe

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// result is the result of one run.
type result struct {
	points []point
	err    error         // why the run failed; nil if it succeeded
	kind   string        // the error.type of err
	cost   time.Duration // CPU time used by threads other than the run's own
}

// point is one value of a metric in the catalog.
type point struct {
	metric *catalog.Metric
	series
	value float64
}

// series holds the attributes that distinguish one probe's points of a metric. Empty attributes are
// omitted.
type series struct{ phase, errorType string }

func (r *result) add(m *catalog.Metric, value float64) {
	r.points = append(r.points, point{metric: m, value: value})
}

// phase adds a successful phase that started at the given time and ends now.
func (r *result) phase(name string, start time.Time) {
	r.points = append(r.points, point{catalog.ProbeDuration, series{phase: name}, time.Since(start).Seconds()})
}

// fail adds a phase that started at the given time and has just failed with err, which becomes the
// run's error.
func (r *result) fail(name string, start time.Time, kind string, err error) {
	r.points = append(r.points, point{catalog.ProbeDuration, series{name, kind}, time.Since(start).Seconds()})
	r.err, r.kind = err, kind
}

// attributes caches the attribute sets of one probe.
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

// of returns the attribute set of s. It is not safe for concurrent use.
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

// skipped returns the attribute sets for the counter of skipped runs, by reason.
func (a attributes) skipped() map[string]metric.MeasurementOption {
	sets := map[string]metric.MeasurementOption{}
	for _, reason := range []string{skipRunning, skipBudget, skipQuota} {
		kv := append([]attribute.KeyValue{catalog.ProbeSkipReasonKey.String(reason)}, a.base...)
		sets[reason] = metric.WithAttributeSet(attribute.NewSet(kv...))
	}
	return sets
}
