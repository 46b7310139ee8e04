package relay

import (
	"context"
	"log/slog"
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

// observe registers the relay's metrics. Each collection reports one snapshot of the queue and the
// exporter.
func (r *Relay) observe(meter metric.Meter) error {
	observed, err := instruments.NewObservables(
		meter,
		catalog.RelayPoints,
		catalog.RelayQueuePoints,
		catalog.RelayQueueUsage,
		catalog.RelayQueueLimit,
		catalog.RelayQueueAge,
		catalog.RelayQueueDurable,
		catalog.UpstreamAvailable,
		catalog.UpstreamTransitions,
		catalog.RelayConnections,
		catalog.RelayConnectionsClosed,
		catalog.RelayLogDropped,
	)
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		rec := recorder{o, observed}
		a := r.exporter.Account()
		rec.lanes(&a, time.Now())
		rec.refused(r.refused.read())
		rec.Int(rec, catalog.RelayQueueLimit, a.Queue.Limit)
		if a.Queue.OnDisk {
			rec.Int(rec, catalog.RelayQueueDurable, boolToInt(a.Queue.Durable))
		}
		if r.server != nil {
			open, closed := r.server.Connections()
			rec.Int(rec, catalog.RelayConnections, open)
			rec.Int(rec, catalog.RelayConnectionsClosed, closed)
		}
		if r.dropped != nil {
			rec.Int(rec, catalog.RelayLogDropped, r.dropped())
		}
		return nil
	}, observed.All...)
	return err
}

// recorder records the relay's metrics for one collection.
type recorder struct {
	metric.Observer
	*instruments.Observables
}

// lanes reports every lane that has had items. It always reports the lanes for the app's metrics
// and for the sidecar's own metrics.
func (rec recorder) lanes(a *export.Account, now time.Time) {
	for _, id := range queue.Lanes() {
		p := a.Queue.Lanes[id]
		if id.Signal() != otlp.Metrics && p.Points == (queue.Points{}) {
			continue
		}
		rec.outcome(id, p.Accepted, "accepted", "")
		rec.outcome(id, a.Sent[id], "sent", "")
		rec.outcome(id, p.Full, "dropped", "full")
		rec.Int(rec, catalog.RelayQueuePoints, p.Queued, lane(id))
		rec.Int(rec, catalog.RelayQueueUsage, p.Usage, lane(id))
		if a.Queue.OnDisk {
			rec.outcome(id, p.Recovered, "recovered", "")
			rec.outcome(id, p.Resent, "resent", "")
			rec.outcome(id, p.Damaged, "dropped", "damaged")
		}
		if !p.Oldest.IsZero() {
			rec.Float(rec, catalog.RelayQueueAge, max(0, now.Sub(p.Oldest).Seconds()), lane(id))
		}
		rec.upstream(id, a.Lanes[id])
	}
	for rejection, n := range a.Rejected {
		rec.outcome(rejection.Lane, n, "rejected", rejection.Reason)
	}
}

// upstream reports the state of the upstream for the given lane.
func (rec recorder) upstream(id queue.Lane, a export.LaneAccount) {
	if !a.Asked {
		return
	}
	rec.Int(rec, catalog.UpstreamAvailable, boolToInt(a.Available), lane(id))
	for state, n := range a.Transitions {
		rec.Int(
			rec,
			catalog.UpstreamTransitions,
			n,
			lane(id),
			metric.WithAttributes(catalog.UpstreamStateKey.String(export.State(state).String())),
		)
	}
}

func (rec recorder) refused(points map[refusal]int64) {
	for r, n := range points {
		rec.outcome(queue.LaneOf(r.signal), n, "refused", r.reason)
	}
}

func (rec recorder) outcome(id queue.Lane, n int64, outcome, reason string) {
	options := []metric.ObserveOption{lane(id), metric.WithAttributes(catalog.PointOutcomeKey.String(outcome))}
	if reason != "" {
		options = append(options, metric.WithAttributes(catalog.PointReasonKey.String(reason)))
	}
	rec.Int(rec, catalog.RelayPoints, n, options...)
}

func lane(id queue.Lane) metric.MeasurementOption {
	return metric.WithAttributes(catalog.LaneKey.String(id.String()))
}

func boolToInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// refusal identifies refused items by signal and reason.
type refusal struct {
	signal otlp.Signal
	reason string
}

// refusals counts refused items, and logs each kind of refusal at most once a minute. The log is
// needed because malformed requests have no items and would otherwise be refused silently.
type refusals struct {
	log *slog.Logger

	mu     sync.Mutex // guards everything below
	points map[refusal]int64
	kinds  map[refusal]*refusedKind
}

// refusedKind counts the refusals of one kind since the last log line about that kind.
type refusedKind struct {
	requests int64
	loggedAt time.Time
}

// refusalLogInterval is the minimum time between two log lines about one kind of refusal.
const refusalLogInterval = time.Minute

func (r *refusals) add(s otlp.Signal, points int64, why *receive.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.points == nil {
		r.points, r.kinds = map[refusal]int64{}, map[refusal]*refusedKind{}
	}
	kind := refusal{s, string(why.Reason)}
	r.points[kind] += points
	counts := r.kinds[kind]
	if counts == nil {
		counts = &refusedKind{}
		r.kinds[kind] = counts
	}
	counts.requests++
	if since := time.Since(counts.loggedAt); since >= refusalLogInterval {
		r.log.Warn(
			"requests refused",
			"signal",
			s.String(),
			"reason",
			kind.reason,
			"requests",
			counts.requests,
			"last_message",
			why.Message,
		)
		counts.requests, counts.loggedAt = 0, time.Now()
	}
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
