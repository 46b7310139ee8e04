package relay

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
	"github.com/poolgauge/poolgauge/collector/receive"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// observe makes every collection report what became of points. All of one collection is of one moment.
func (r *Relay) observe(meter metric.Meter) error {
	observed, err := instruments.NewObservables(meter, catalog.RelayPoints, catalog.RelayQueuePoints, catalog.RelayQueueUsage,
		catalog.RelayQueueLimit, catalog.RelayQueueAge, catalog.RelayQueueDurable, catalog.UpstreamAvailable)
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		f := figures{o, observed}
		a := r.exporter.Account()
		f.points(&a)
		f.refused(r.refused.read())
		f.queue(&a.Queue, time.Now())
		if a.Asked {
			f.Int(o, catalog.UpstreamAvailable, truth(a.Failure == nil))
		}
		return nil
	}, observed.All...)
	return err
}

// figures are one collection.
type figures struct {
	metric.Observer
	*instruments.Observables
}

// points reports what became of the points of each signal that there was, and of metrics, which there always are.
func (f figures) points(a *export.Account) {
	for _, s := range otlp.Signals() {
		p := a.Queue.Points[s]
		if s != otlp.Metrics && p == (queue.Points{}) {
			continue
		}
		f.outcome(s, p.Accepted, "accepted", "")
		f.outcome(s, a.Sent[s], "sent", "")
		f.outcome(s, p.Full, "dropped", "full")
		f.Int(f, catalog.RelayQueuePoints, p.Queued, signal(s))
		if a.Queue.OnDisk {
			f.outcome(s, p.Recovered, "recovered", "")
			f.outcome(s, p.Resent, "resent", "")
			f.outcome(s, p.Damaged, "dropped", "damaged")
		}
	}
	for rejection, n := range a.Rejected {
		f.outcome(rejection.Signal, n, "rejected", rejection.Reason)
	}
}

func (f figures) refused(points map[refusal]int64) {
	for r, n := range points {
		f.outcome(r.signal, n, "refused", r.reason)
	}
}

func (f figures) outcome(s otlp.Signal, n int64, outcome, reason string) {
	options := []metric.ObserveOption{signal(s), metric.WithAttributes(catalog.PointOutcomeKey.String(outcome))}
	if reason != "" {
		options = append(options, metric.WithAttributes(catalog.PointReasonKey.String(reason)))
	}
	f.Int(f, catalog.RelayPoints, n, options...)
}

func (f figures) queue(a *queue.Account, now time.Time) {
	f.Int(f, catalog.RelayQueueUsage, a.Usage)
	f.Int(f, catalog.RelayQueueLimit, a.Limit)
	if !a.Oldest.IsZero() {
		f.Float(f, catalog.RelayQueueAge, max(0, now.Sub(a.Oldest).Seconds()))
	}
	if a.OnDisk {
		f.Int(f, catalog.RelayQueueDurable, truth(a.Durable))
	}
}

func signal(s otlp.Signal) metric.MeasurementOption {
	return metric.WithAttributes(catalog.SignalKey.String(s.String()))
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// refusal is a kind of points that were not accepted.
type refusal struct {
	signal otlp.Signal
	reason string
}

// refusals counts them.
type refusals struct {
	mu     sync.Mutex
	points map[refusal]int64
}

func (r *refusals) add(s otlp.Signal, points int64, why *receive.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.points == nil {
		r.points = map[refusal]int64{}
	}
	r.points[refusal{s, string(why.Reason)}] += points
}

func (r *refusals) read() map[refusal]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	read := make(map[refusal]int64, len(r.points))
	for kind, n := range r.points {
		read[kind] = n
	}
	return read
}
