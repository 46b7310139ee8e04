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

// observe registers the relay's metrics. Each collection is a consistent snapshot.
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
		f := figures{o, observed}
		a := r.exporter.Account()
		f.lanes(&a, time.Now())
		f.refused(r.refused.read())
		f.Int(f, catalog.RelayQueueLimit, a.Queue.Limit)
		if a.Queue.OnDisk {
			f.Int(f, catalog.RelayQueueDurable, boolToInt(a.Queue.Durable))
		}
		if r.server != nil {
			open, closed := r.server.Connections()
			f.Int(f, catalog.RelayConnections, open)
			f.Int(f, catalog.RelayConnectionsClosed, closed)
		}
		if r.dropped != nil {
			f.Int(f, catalog.RelayLogDropped, r.dropped())
		}
		return nil
	}, observed.All...)
	return err
}

// figures records the relay's metrics for one collection.
type figures struct {
	metric.Observer
	*instruments.Observables
}

// lanes reports every lane that has had items. It always reports the lanes for the app's metrics
// and for the sidecar's own metrics.
func (f figures) lanes(a *export.Account, now time.Time) {
	for _, id := range queue.Lanes() {
		p := a.Queue.Lanes[id]
		if id.Signal() != otlp.Metrics && p.Points == (queue.Points{}) {
			continue
		}
		f.outcome(id, p.Accepted, "accepted", "")
		f.outcome(id, a.Sent[id], "sent", "")
		f.outcome(id, p.Full, "dropped", "full")
		f.Int(f, catalog.RelayQueuePoints, p.Queued, lane(id))
		f.Int(f, catalog.RelayQueueUsage, p.Usage, lane(id))
		if a.Queue.OnDisk {
			f.outcome(id, p.Recovered, "recovered", "")
			f.outcome(id, p.Resent, "resent", "")
			f.outcome(id, p.Damaged, "dropped", "damaged")
		}
		if !p.Oldest.IsZero() {
			f.Float(f, catalog.RelayQueueAge, max(0, now.Sub(p.Oldest).Seconds()), lane(id))
		}
		f.upstream(id, a.Lanes[id])
	}
	for rejection, n := range a.Rejected {
		f.outcome(rejection.Lane, n, "rejected", rejection.Reason)
	}
}

// upstream reports the state of the upstream for the given lane.
func (f figures) upstream(id queue.Lane, a export.LaneAccount) {
	if !a.Asked {
		return
	}
	f.Int(f, catalog.UpstreamAvailable, boolToInt(a.Available), lane(id))
	for state, n := range a.Transitions {
		f.Int(
			f,
			catalog.UpstreamTransitions,
			n,
			lane(id),
			metric.WithAttributes(catalog.UpstreamStateKey.String(export.State(state).String())),
		)
	}
}

func (f figures) refused(points map[refusal]int64) {
	for r, n := range points {
		f.outcome(queue.LaneOf(r.signal), n, "refused", r.reason)
	}
}

func (f figures) outcome(id queue.Lane, n int64, outcome, reason string) {
	options := []metric.ObserveOption{lane(id), metric.WithAttributes(catalog.PointOutcomeKey.String(outcome))}
	if reason != "" {
		options = append(options, metric.WithAttributes(catalog.PointReasonKey.String(reason)))
	}
	f.Int(f, catalog.RelayPoints, n, options...)
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
	said     time.Time
}

// quiet is the minimum time between two log lines about one kind of refusal.
const quiet = time.Minute

func (r *refusals) add(s otlp.Signal, points int64, why *receive.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.points == nil {
		r.points, r.kinds = map[refusal]int64{}, map[refusal]*refusedKind{}
	}
	kind := refusal{s, string(why.Reason)}
	r.points[kind] += points
	of := r.kinds[kind]
	if of == nil {
		of = &refusedKind{}
		r.kinds[kind] = of
	}
	of.requests++
	if since := time.Since(of.said); since >= quiet {
		r.log.Warn(
			"requests refused",
			"signal",
			s.String(),
			"reason",
			kind.reason,
			"requests",
			of.requests,
			"last_message",
			why.Message,
		)
		of.requests, of.said = 0, time.Now()
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
