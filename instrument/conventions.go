package instrument

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// WithConventions also reports the pool under OpenTelemetry's semantic-convention metric names,
// db.client.connection.* or http.client.*, as listed in docs/metrics.md. It has no effect on pools
// for which the conventions define no metrics.
func WithConventions() Option {
	return func(s *settings) { s.conventions = true }
}

// Convention describes how a wrapper also reports its pools under semantic-convention metric names.
// It is for use by the packages of this repository.
type Convention struct {
	Rows *catalog.Group

	// Points is called once per collection, with the Stats that were collected. Calls are never
	// concurrent. Points calls add for every value that is present, with the convention's
	// attributes; attributes passed to [WithAttributes] are added automatically.
	Points func(s *Stats, add func(m *catalog.Metric, attributes attribute.Set, p Point))
}

// Follow returns an option that makes a pool report the metrics of convention c if the pool is also
// created [WithConventions].
func Follow(c Convention) Option {
	return func(s *settings) { s.convention = c }
}

// FollowsConventions reports whether opts enable semantic-convention metrics: they contain
// [WithConventions] and do not disable telemetry. It is for wrappers that keep additional counts
// for these metrics.
func FollowsConventions(opts ...Option) bool {
	s := settingsOf(opts)
	return s.conventions && !s.timing.Off
}

// appendConventionPoints appends the points of r's convention to points. The caller must hold r.mu.
func (r *Registration) appendConventionPoints(s *Stats, points []Point) []Point {
	if r.convention.Points == nil {
		return points
	}
	r.convention.Points(s, func(m *catalog.Metric, attributes attribute.Set, p Point) {
		if p.Histogram != nil && p.Histogram.count == 0 {
			return
		}
		p.Metric, p.Start, p.Attributes = m, r.start, r.withGiven(attributes)
		points = append(points, p)
	})
	return points
}

// withGiven returns a with the attributes passed to [WithAttributes] added. Attributes in a take
// precedence. The caller must hold r.mu.
func (r *Registration) withGiven(a attribute.Set) attribute.Set {
	if len(r.given) == 0 {
		return a
	}
	s, known := r.conventionSets[a.Equivalent()]
	if !known {
		s = attribute.NewSet(append(r.given[:len(r.given):len(r.given)], a.ToSlice()...)...)
		r.conventionSets[a.Equivalent()] = s
	}
	return s
}
