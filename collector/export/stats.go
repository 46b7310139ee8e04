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

// reasonPartial is the reason for points that the upstream rejected in a request that it otherwise
// accepted.
const reasonPartial = "partial"

// Rejection identifies rejected items by lane and reason.
type Rejection struct {
	Lane   queue.Lane
	Reason string // partial, or [Failure.Reason]
}

// Account is a snapshot of the queue, the state of the upstream, and what happened to the batches
// taken from the queue. Sent, Rejected and Queue are consistent with each other: Sent and Rejected
// add up to the settled items.
type Account struct {
	Sent     map[queue.Lane]int64 // points
	Rejected map[Rejection]int64  // points
	Lanes    map[queue.Lane]LaneAccount
	Queue    queue.Account
}

// LaneAccount is the state of the upstream for one lane.
type LaneAccount struct {
	State       State
	Since       time.Time // when the state was entered
	Available   bool      // the upstream accepts requests, although it may reject some for their content
	Asked       bool      // the outcome of at least one request is known
	Failure     *Failure  // why the upstream is not accepting; nil if it is
	Transitions [3]int64  // by the state entered
}

// stats counts sent and rejected items, and records the duration of requests. It is safe for
// concurrent use.
type stats struct {
	durations metric.Float64Histogram

	mu       sync.Mutex // guards everything below
	sent     map[queue.Lane]int64
	rejected map[Rejection]int64
}

func newStats(meter metric.Meter) (*stats, error) {
	s := &stats{sent: map[queue.Lane]int64{}, rejected: map[Rejection]int64{}}
	var err error
	s.durations, err = instruments.Histogram(meter, catalog.ExportDuration)
	return s, err
}

func (s *stats) read(q *queue.Queue) Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Account{
		Sent:     maps.Clone(s.sent),
		Rejected: maps.Clone(s.rejected),
		Lanes:    map[queue.Lane]LaneAccount{},
		Queue:    q.Account(),
	}
}

// recordDuration records how long a request took. reason is why it failed, or "" if it succeeded.
func (s *stats) recordDuration(lane queue.Lane, took time.Duration, reason string) {
	attributes := []attribute.KeyValue{catalog.LaneKey.String(lane.String())}
	if reason != "" {
		attributes = append(attributes, semconv.ErrorTypeKey.String(reason))
	}
	s.durations.Record(context.Background(), took.Seconds(), metric.WithAttributes(attributes...))
}

// settle removes the flight's batches from i up to but not including j from the queue, and counts
// their points as sent or rejected, in one step.
func (s *stats) settle(lane queue.Lane, flight *queue.Flight, i, j int, sent int64, rejected map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sent > 0 {
		s.sent[lane] += sent
	}
	for reason, n := range rejected {
		if n > 0 {
			s.rejected[Rejection{lane, reason}] += n
		}
	}
	for ; i < j; i++ {
		flight.Settle(i)
	}
}
