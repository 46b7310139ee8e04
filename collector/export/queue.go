package export

import (
	"sync"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// batch is one collection on its way to the upstream.
type batch struct {
	metrics *metricdata.ResourceMetrics
	points  int64
}

// queue is a first-in first-out queue of a fixed capacity that drops its oldest batch for a new one. It is safe for concurrent use.
type queue struct {
	// ready holds a token while the queue may have something to take.
	ready chan struct{}

	// mu guards everything below.
	mu      sync.Mutex
	batches []batch
	limit   int
	points  int64 // in batches
}

func newQueue(limit int) *queue {
	return &queue{ready: make(chan struct{}, 1), limit: limit}
}

// push adds b and returns the points dropped for it.
func (q *queue) push(b batch) (dropped int64) {
	q.mu.Lock()
	if len(q.batches) == q.limit {
		dropped = q.takeLocked().points
	}
	q.batches = append(q.batches, b)
	q.points += b.points
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return dropped
}

// take removes the oldest batch; ok is false if there is none.
func (q *queue) take() (b batch, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.batches) == 0 {
		return batch{}, false
	}
	return q.takeLocked(), true
}

func (q *queue) takeLocked() batch {
	b := q.batches[0]
	q.batches[0] = batch{} // let its memory go
	q.batches = q.batches[1:]
	q.points -= b.points
	return b
}

func (q *queue) len() (points int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.points
}

// countPoints returns the number of points in rm.
func countPoints(rm *metricdata.ResourceMetrics) (n int64) {
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			n += int64(pointsOf(m.Data))
		}
	}
	return n
}

func pointsOf(data metricdata.Aggregation) int {
	switch d := data.(type) {
	case metricdata.Gauge[int64]:
		return len(d.DataPoints)
	case metricdata.Gauge[float64]:
		return len(d.DataPoints)
	case metricdata.Sum[int64]:
		return len(d.DataPoints)
	case metricdata.Sum[float64]:
		return len(d.DataPoints)
	case metricdata.Histogram[int64]:
		return len(d.DataPoints)
	case metricdata.Histogram[float64]:
		return len(d.DataPoints)
	case metricdata.ExponentialHistogram[int64]:
		return len(d.DataPoints)
	case metricdata.ExponentialHistogram[float64]:
		return len(d.DataPoints)
	case metricdata.Summary:
		return len(d.DataPoints)
	default:
		return 0
	}
}
