package instrument

import (
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Point is one data point of a pool: a value of one metric in package catalog.
type Point struct {
	Metric     *catalog.Metric
	Attributes attribute.Set
	Start      time.Time // start time of a sum or a histogram

	// Histogram, Int or Float holds the value, depending on the metric. A Histogram is never empty.
	Int       int64
	Float     float64
	Histogram *Histogram

	Holders   []Holder   // only for the age of the oldest use
	Exemplars []Exemplar // only for the durations of waits
}

// labels holds the attributes of a point other than those of its pool. An entry with an empty value
// is omitted.
type labels [2]struct {
	key   attribute.Key
	value string
}

func label(m *catalog.Metric, value fmt.Stringer) (l labels) {
	l[0].key, l[0].value = keyOf(m), value.String()
	return l
}

// points calls add for every value that is present in s. It maps Stats to the metrics of pools; a
// [Convention] maps them to those of the semantic conventions.
func (s *Stats) points(add func(m *catalog.Metric, l labels, p Point)) {
	count := func(m *catalog.Metric, l labels, o Optional[int64]) {
		if n, ok := o.Get(); ok {
			add(m, l, Point{Int: n})
		}
	}
	seconds := func(m *catalog.Metric, l labels, o Optional[float64]) {
		if v, ok := o.Get(); ok {
			add(m, l, Point{Float: v})
		}
	}
	durations := func(m *catalog.Metric, l labels, h *Histogram, exemplars ...Exemplar) {
		if h != nil && h.count > 0 {
			add(m, l, Point{Histogram: h, Exemplars: exemplars})
		}
	}
	count(catalog.PoolLimit, labels{}, s.Limit)
	count(catalog.PoolLimitChanges, labels{}, s.LimitChanges)
	for i, n := range s.Usage {
		count(catalog.PoolUsage, label(catalog.PoolUsage, State(i)), n)
	}
	count(catalog.PoolPending, labels{}, s.Pending)
	count(catalog.PoolPendingLimit, labels{}, s.PendingLimit)
	if age, ok := s.PendingAge.Get(); ok {
		seconds(catalog.PoolPendingAge, labels{}, Some(age.Seconds()))
	}
	for i, n := range s.Requests {
		count(catalog.PoolRequests, label(catalog.PoolRequests, Outcome(i)), n)
		durations(
			catalog.PoolWaitDuration,
			label(catalog.PoolWaitDuration, Outcome(i)),
			s.Wait[i],
			s.exemplarsOf(Outcome(i))...)
	}
	count(catalog.PoolWaits, labels{}, s.Waits)
	seconds(catalog.PoolWaitTime, labels{}, s.WaitTime)
	durations(catalog.PoolUseDuration, labels{}, s.Use)
	if age, ok := s.UseAge.Get(); ok {
		add(catalog.PoolUseAge, labels{}, Point{Float: age.Seconds(), Holders: s.Holders})
	}
	seconds(catalog.PoolUseTime, labels{}, s.UseTime)
	seconds(catalog.PoolHeldBackTime, labels{}, s.HeldBack)
	for i, n := range s.Completed {
		count(catalog.PoolCompleted, label(catalog.PoolCompleted, Ending(i)), n)
	}
	for i, v := range s.CPUTime {
		seconds(catalog.PoolUseCPUTime, label(catalog.PoolUseCPUTime, CPUState(i)), v)
	}
	for _, r := range s.Resources {
		l := label(catalog.PoolResources, r.Event)
		l[1].key, l[1].value = catalog.PoolReasonKey, r.Reason
		count(catalog.PoolResources, l, Some(r.Count))
	}
	for _, c := range s.Create {
		var l labels
		l[0].key, l[0].value = keyOf(catalog.PoolCreateDuration), c.ErrorType
		durations(catalog.PoolCreateDuration, l, c.Duration)
	}
}
