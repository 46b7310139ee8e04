package export

import (
	"context"
	"maps"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector/queue"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// reasonPartial is that of points rejected of a request that was taken.
const reasonPartial = "partial"

// Rejection identifies items that the upstream rejected.
type Rejection struct {
	Lane   queue.Lane
	Reason string // partial, or that of a [Failure]
}

// Account is a consistent snapshot of what became of the batches taken from the queue, the state of
// the upstream, and the queue. Sent and Rejected together are the items that were settled.
type Account struct {
	Sent     map[queue.Lane]int64 // points
	Rejected map[Rejection]int64  // points
	Lanes    map[queue.Lane]LaneAccount
	Queue    queue.Account
}

// LaneAccount is the state of the upstream for one lane.
type LaneAccount struct {
	State       State
	Since       time.Time // of the state
	Available   bool      // it takes requests, though it may reject some for what is in them
	Asked       bool      // it was sent a request, and its outcome is known
	Failure     *Failure  // why it does not accept; nil while it does
	Transitions [3]int64  // into each state
}

// figures are the exporter's own metrics. It is safe for concurrent use.
type figures struct {
	durations metric.Float64Histogram

	mu       sync.Mutex // guards what follows
	sent     map[queue.Lane]int64
	rejected map[Rejection]int64
}

func newFigures(meter metric.Meter) (*figures, error) {
	f := &figures{sent: map[queue.Lane]int64{}, rejected: map[Rejection]int64{}}
	var err error
	f.durations, err = instruments.Histogram(meter, catalog.ExportDuration)
	return f, err
}

func (f *figures) read(q *queue.Queue) Account {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Account{
		Sent:     maps.Clone(f.sent),
		Rejected: maps.Clone(f.rejected),
		Lanes:    map[queue.Lane]LaneAccount{},
		Queue:    q.Account(),
	}
}

// answered notes that a request came to an end; reason is that of its failure, if it failed.
func (f *figures) answered(lane queue.Lane, took time.Duration, reason string) {
	attributes := []attribute.KeyValue{catalog.LaneKey.String(lane.String())}
	if reason != "" {
		attributes = append(attributes, semconv.ErrorTypeKey.String(reason))
	}
	f.durations.Record(context.Background(), took.Seconds(), metric.WithAttributes(attributes...))
}

// settle ends the time of the batches from i up to j in the queue, and counts what became of their
// points, both at one moment.
func (f *figures) settle(lane queue.Lane, flight *queue.Flight, i, j int, sent int64, rejected map[string]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sent > 0 {
		f.sent[lane] += sent
	}
	for reason, n := range rejected {
		if n > 0 {
			f.rejected[Rejection{lane, reason}] += n
		}
	}
	for ; i < j; i++ {
		flight.Settle(i)
	}
}
