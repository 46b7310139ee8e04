package collector

import (
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Birth is since when counters count: the boot of the machine, the creation of a group, the start
// of a process, the first reading of one. The zero Birth is set to the time of the first collection
// that has a point of it: from then on counts what a source itself adds up.
type Birth struct{ At time.Time }

// BornAt returns the birth at a time, which must not be after the true one: a counter that is older
// than its start seems to have leapt.
func BornAt(at time.Time) *Birth { return &Birth{at} }

// Attributes are the attributes of points, built once and used at every collection, and what is
// remembered of the counters that have them. They belong to one source.
type Attributes struct {
	set    attribute.Set
	birth  *Birth
	floats counters[float64]
	ints   counters[int64]
}

// With builds Attributes of counters that began at a birth; sources call it when they first see a
// series, not at every collection.
//
// Bytes that are not UTF-8, as a file name may have, are replaced: OTLP would refuse the whole
// export for one of them.
func With(birth *Birth, kv ...attribute.KeyValue) *Attributes {
	valid := slices.Clone(kv)
	for i, a := range valid {
		if a.Value.Type() == attribute.STRING {
			valid[i] = a.Key.String(strings.ToValidUTF8(a.Value.AsString(), "\uFFFD"))
		}
	}
	return &Attributes{set: attribute.NewSet(valid...), birth: birth}
}

// counter is one series of a counter: what was last reported of it.
type counter[N int64 | float64] struct {
	metric *catalog.Metric
	begun  bool
	since  time.Time // start of the stream: its birth, or the last reading before it began again
	last   N
	at     time.Time // of last
}

// counters are those of one set of attributes. They are few, so that a search is faster than a map.
type counters[N int64 | float64] struct{ list []*counter[N] }

// of returns the series of a row; nil for a row that is no counter.
func (c *counters[N]) of(m *catalog.Metric) *counter[N] {
	if m.Kind != catalog.Counter {
		return nil
	}
	for _, one := range c.list {
		if one.metric == m {
			return one
		}
	}
	one := &counter[N]{metric: m}
	c.list = append(c.list, one)
	return one
}

// add appends the point of a value. Of a counter under delta temporality the first reading is the
// line from which later ones count, and no point, unless the counter was born since the collection
// before: then it is all that was counted since.
func add[N int64 | float64](
	p *Producer, to []metricdata.DataPoint[N], m *catalog.Metric, a *Attributes, c *counter[N], v N,
) []metricdata.DataPoint[N] {
	if a.birth.At.IsZero() {
		a.birth.At = p.now
	}
	point := metricdata.DataPoint[N]{Attributes: a.set, Time: p.now, Value: v}
	switch {
	case m.Kind == catalog.Gauge:
		return append(to, point)
	case c == nil:
		point.StartTime = a.birth.At
		return append(to, point)
	}
	point.StartTime = c.at
	known := c.begun || !a.birth.At.Before(p.before)
	if !c.begun {
		point.StartTime = a.birth.At
	}
	gain := c.advance(v, a.birth.At, p.now)
	if p.temporality == metricdata.DeltaTemporality {
		if point.Value = gain; !known {
			return to
		}
	} else {
		point.StartTime, point.Value = c.since, c.last
	}
	if point.StartTime.After(p.now) {
		point.StartTime = p.now // the clock was set back
	}
	return append(to, point)
}

// advance takes a reading and returns what was gained since the one before. A counter that fell by
// less than half did not: the kernel computes some, iowait among them, from figures that it reads
// at different moments. It is held until the counter has caught up. One that fell further began
// again some time after the last reading.
func (c *counter[N]) advance(v N, birth, now time.Time) (gain N) {
	switch {
	case !c.begun:
		c.begun, c.since, gain, c.last = true, birth, v, v
	case v >= c.last:
		gain, c.last = v-c.last, v
	case v < c.last-v:
		c.since, gain, c.last = c.at, v, v
	}
	c.at = now
	return gain
}
