package collector

import (
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// StartTime is the time at which one or more counters started: when the machine booted, a cgroup
// was created or a process started. If At is zero, it is set to the time of the first collection
// that includes one of the counters, which suits counters that a source adds up itself.
type StartTime struct{ At time.Time }

// StartedAt returns a StartTime for the given time, which must not be later than the true start:
// otherwise earlier counts would seem to have accumulated in no time.
func StartedAt(at time.Time) *StartTime { return &StartTime{at} }

// Attributes is the attribute set of one or more series, together with the state of the series that
// are counters. It is built once and used at every collection, by one source only.
type Attributes struct {
	set    attribute.Set
	start  *StartTime
	floats counters[float64]
	ints   counters[int64]
}

// NewAttributes returns Attributes with the key-value pairs kv. Counters with these attributes have
// the given start time. A source calls NewAttributes when it first sees a series, not at every
// collection.
//
// Invalid UTF-8, which file names may contain, is replaced: a single invalid byte would cause an
// entire export to be rejected.
func NewAttributes(start *StartTime, kv ...attribute.KeyValue) *Attributes {
	valid := slices.Clone(kv)
	for i, a := range valid {
		if a.Value.Type() == attribute.STRING {
			valid[i] = a.Key.String(strings.ToValidUTF8(a.Value.AsString(), "\uFFFD"))
		}
	}
	return &Attributes{set: attribute.NewSet(valid...), start: start}
}

// counter is the state of one series of a counter.
type counter[N int64 | float64] struct {
	metric  *catalog.Metric
	started bool
	since   time.Time // the start time, or the time of the last reading before a reset
	last    N         // the last reported total since the start time or reset
	at      time.Time // time of the last reading
}

// counters holds the counters with one set of attributes. There are only a few, so a list is faster
// than a map.
type counters[N int64 | float64] struct{ list []*counter[N] }

// of returns the counter for the metric m, creating it if necessary, or nil if m is not a counter.
func (c *counters[N]) of(m *catalog.Metric) *counter[N] {
	if m.Kind != catalog.Counter {
		return nil
	}
	for _, existing := range c.list {
		if existing.metric == m {
			return existing
		}
	}
	added := &counter[N]{metric: m}
	c.list = append(c.list, added)
	return added
}

// add appends a point with the value v to points. c is nil if m is not a counter. With delta
// temporality, the first reading of a counter is only the baseline for later ones and yields no
// point, unless the counter started after the previous collection: in that case, its entire value
// is the delta.
func add[N int64 | float64](
	p *Producer, points []metricdata.DataPoint[N], m *catalog.Metric, a *Attributes, c *counter[N], v N,
) []metricdata.DataPoint[N] {
	if a.start.At.IsZero() {
		a.start.At = p.now
	}
	point := metricdata.DataPoint[N]{Attributes: a.set, Time: p.now, Value: v}
	switch {
	case m.Kind == catalog.Gauge:
		return append(points, point)
	case c == nil:
		point.StartTime = a.start.At
		return append(points, point)
	}
	point.StartTime = c.at
	hasDelta := c.started || !a.start.At.Before(p.previous)
	if !c.started {
		point.StartTime = a.start.At
	}
	gain := c.advance(v, a.start.At, p.now)
	if p.temporality == metricdata.DeltaTemporality {
		if point.Value = gain; !hasDelta {
			return points
		}
	} else {
		point.StartTime, point.Value = c.since, c.last
	}
	if point.StartTime.After(p.now) {
		point.StartTime = p.now // the clock was set back
	}
	return append(points, point)
}

// advance records the reading v and returns the increase since the previous reading. A decrease of
// at most half is not considered a reset: some counters, such as iowait, may decrease slightly
// because the kernel computes them from values that it reads at different times. advance then keeps
// the last value until the counter has caught up. A larger decrease is taken to mean that the
// counter was reset after the previous reading.
func (c *counter[N]) advance(v N, start, now time.Time) (gain N) {
	switch {
	case !c.started:
		c.started, c.since, gain, c.last = true, start, v, v
	case v >= c.last:
		gain, c.last = v-c.last, v
	case v < c.last-v:
		c.since, gain, c.last = c.at, v, v
	}
	c.at = now
	return gain
}
