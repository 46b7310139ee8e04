package direct

import (
	"sync"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// batch is one collection on its way to the upstream.
type batch struct {
	metrics *metricdata.ResourceMetrics
	points  int64
}

// queue is a first-in first-out queue of a fixed capacity that drops its oldest batch for a new one, and the account of every
// point that ever entered it. It is safe for concurrent use.
type queue struct {
	// ready holds a token while the queue may have something to take.
	ready chan struct{}

	// mu guards everything below.
	mu      sync.Mutex
	batches []batch
	limit   int
	account account
}

// account is what became of the points: sampled = exported + rejected + dropped + queued, at any time.
type account struct {
	sampled, exported, rejected, dropped int64
	queued                               int64 // in the queue or in flight
}

func newQueue(limit int) *queue {
	return &queue{ready: make(chan struct{}, 1), limit: limit}
}

// push adds b, and drops the oldest batch if there is no room.
func (q *queue) push(b batch) {
	q.mu.Lock()
	if len(q.batches) == q.limit {
		oldest := q.removeLocked()
		q.account.queued -= oldest.points
		q.account.dropped += oldest.points
	}
	q.batches = append(q.batches, b)
	q.account.sampled += b.points
	q.account.queued += b.points
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take removes the oldest batch, which then is in flight until its end is told to finish; ok is false if there is none.
func (q *queue) take() (b batch, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.batches) == 0 {
		return batch{}, false
	}
	return q.removeLocked(), true
}

// finish books the points of a batch that was in flight.
func (q *queue) finish(exported, rejected, dropped int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.account.exported += exported
	q.account.rejected += rejected
	q.account.dropped += dropped
	q.account.queued -= exported + rejected + dropped
}

func (q *queue) removeLocked() batch {
	b := q.batches[0]
	q.batches[0] = batch{} // let its memory go
	q.batches = q.batches[1:]
	return b
}

// empty reports whether there is nothing to take.
func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.batches) == 0
}

// read returns the account as of now.
func (q *queue) read() account {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.account
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
