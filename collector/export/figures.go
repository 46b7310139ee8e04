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

// Rejection is a kind of points that the upstream did not want.
type Rejection struct {
	Signal otlp.Signal
	Reason string // partial, a gRPC status or an HTTP code
}

// Account is what became of what was taken from the queue, and how the upstream does.
type Account struct {
	Sent     map[otlp.Signal]int64 // points
	Rejected map[Rejection]int64   // points
	Known    bool                  // the upstream was asked
	Failure  string                // why it did not take the last request; empty if it did
	Queue    queue.Account
}

// figures are what the exporter says of itself.
type figures struct {
	durations metric.Float64Histogram

	mu      sync.Mutex
	account Account
}

func newFigures(meter metric.Meter) (*figures, error) {
	f := &figures{account: Account{Sent: map[otlp.Signal]int64{}, Rejected: map[Rejection]int64{}}}
	var err error
	f.durations, err = instruments.Histogram(meter, catalog.ExportDuration)
	return f, err
}

// read returns a copy of the account. Caller must hold mu.
func (f *figures) read() Account {
	a := f.account
	a.Sent, a.Rejected = maps.Clone(a.Sent), maps.Clone(a.Rejected)
	return a
}

// answered notes that a request came to an end.
func (f *figures) answered(took time.Duration, failure *Failure) {
	var options []metric.RecordOption
	if failure != nil {
		options = append(options, metric.WithAttributes(semconv.ErrorTypeKey.String(failure.Reason)))
	}
	f.durations.Record(context.Background(), took.Seconds(), options...)
}

// settled notes what became of points. Caller must hold mu.
func (f *figures) settled(s otlp.Signal, sent, rejected int64, reason string) {
	f.account.Sent[s] += sent
	if rejected > 0 {
		f.account.Rejected[Rejection{s, reason}] += rejected
	}
}

// up notes that the upstream took a request, and reports whether it did not before.
func (f *figures) up() (changed bool) { return f.change("") }

// down notes that the upstream did not take a request, and reports whether it did before.
func (f *figures) down(failure *Failure) (changed bool) { return f.change(failure.Cause.Error()) }

func (f *figures) change(failure string) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed = (f.account.Failure == "") != (failure == "")
	f.account.Known, f.account.Failure = true, failure
	return changed
}
