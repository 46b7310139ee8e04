package instrument

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// WithConventions reports the pool under the names of OpenTelemetry's semantic conventions as well,
// where they have some for what was wrapped: db.client.connection.* and http.client.*, as
// docs/metrics.md lists them. A pool of a kind without any ignores it.
func WithConventions() Option {
	return func(s *settings) { s.conventions = true }
}

// Convention says how a wrapper reports its pools under the names of a convention, beside those of
// the model. It is for packages of this repository.
type Convention struct {
	Rows *catalog.Group

	// Points calls add for every value that there is, in the same collection as the Stats given and
	// never concurrently with itself. The attributes are those of the convention; what
	// [WithAttributes] gave is added to them.
	Points func(s *Stats, add func(m *catalog.Metric, attributes attribute.Set, p Point))
}

// Follow makes a pool follow c if it was made [WithConventions].
func Follow(c Convention) Option {
	return func(s *settings) { s.convention = c }
}

// FollowsConventions reports whether a pool that is given opts follows the conventions, for a
// wrapper that must count more for them.
func FollowsConventions(opts ...Option) bool {
	s := settingsOf(opts)
	return s.conventions && !s.timing.Off
}

// conventional appends the points of the convention of r. Caller must hold r.mu.
func (r *Registration) conventional(s *Stats, points []Point) []Point {
	if r.convention.Points == nil {
		return points
	}
	r.convention.Points(s, func(m *catalog.Metric, attributes attribute.Set, p Point) {
		if p.Histogram != nil && p.Histogram.count == 0 {
			return
		}
		p.Metric, p.Start, p.Attributes = m, r.start, r.with(attributes)
		points = append(points, p)
	})
	return points
}

// with returns the attributes that the program gave with those of a, which win. Caller must hold
// r.mu.
func (r *Registration) with(a attribute.Set) attribute.Set {
	if len(r.given) == 0 {
		return a
	}
	s, known := r.wider[a.Equivalent()]
	if !known {
		s = attribute.NewSet(append(r.given[:len(r.given):len(r.given)], a.ToSlice()...)...)
		r.wider[a.Equivalent()] = s
	}
	return s
}
