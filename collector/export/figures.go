package export

import (
	"context"
	"maps"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// reasonPartial is that of points rejected of a request that was taken.
const reasonPartial = "partial"

// Rejection is a kind of points that the upstream did not want.
type Rejection struct {
	Signal otlp.Signal
	Reason string // partial, or that of a [Failure]
}

// Account is what became of what was taken from the queue, how the upstream does, and what is queued, all at one moment: together, Sent and
// Rejected are what was settled.
type Account struct {
	Sent     map[otlp.Signal]int64 // points
	Rejected map[Rejection]int64   // points
	Asked    bool                  // the upstream was sent a request, and its outcome is known
	Failure  *Failure              // why it did not take the last request; nil if it did
	Queue    queue.Account
}

// figures are what the exporter says of itself. It is safe for concurrent use.
type figures struct {
	durations metric.Float64Histogram

	// mu guards what follows.
	mu      sync.Mutex
	account Account
}

func newFigures(meter metric.Meter) (*figures, error) {
	f := &figures{account: Account{Sent: map[otlp.Signal]int64{}, Rejected: map[Rejection]int64{}}}
	var err error
	f.durations, err = instruments.Histogram(meter, catalog.ExportDuration)
	return f, err
}

func (f *figures) read(q *queue.Queue) Account {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.account
	a.Sent, a.Rejected, a.Queue = maps.Clone(a.Sent), maps.Clone(a.Rejected), q.Account()
	return a
}

// answered notes that a request came to an end; reason is that of its failure, if it failed.
func (f *figures) answered(took time.Duration, reason string) {
	if reason == "" {
		f.durations.Record(context.Background(), took.Seconds())
		return
	}
	f.durations.Record(context.Background(), took.Seconds(), metric.WithAttributes(semconv.ErrorTypeKey.String(reason)))
}

// settle ends the time of the batches from i up to j in the queue, and counts what became of their points, both at one moment.
func (f *figures) settle(flight *queue.Flight, i, j int, sent, rejected int64, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	signal := flight.Batches[i].Signal
	if sent > 0 {
		f.account.Sent[signal] += sent
	}
	if rejected > 0 {
		f.account.Rejected[Rejection{signal, reason}] += rejected
	}
	for ; i < j; i++ {
		flight.Settle(i)
	}
}

// change notes how the last request ended, and reports whether the one before ended the other way.
func (f *figures) change(failure *Failure) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed = (f.account.Failure == nil) != (failure == nil)
	f.account.Asked, f.account.Failure = true, failure
	return changed
}
