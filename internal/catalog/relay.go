package catalog

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The attribute keys of the relay.
const (
	SignalKey       = attribute.Key("poolgauge.signal")
	PointOutcomeKey = attribute.Key("poolgauge.point.outcome")
	PointReasonKey  = attribute.Key("poolgauge.point.reason")
)

// Relay is the group of what becomes of the points that the sidecar accepts, its own among them.
var Relay = &Group{
	Name: "relay",
	Help: "What becomes of the points that the sidecar accepts, from the app and from itself. A point is a data point, a span or a log record.",
	Metrics: []*Metric{
		RelayPoints, RelayQueuePoints, RelayQueueUsage, RelayQueueLimit, RelayQueueAge, RelayQueueDurable, ExportDuration, UpstreamAvailable,
	},
}

var signalAttribute = Attribute{Key: SignalKey, Values: []string{"metrics", "traces", "logs"}}

// The rows of [Relay].
var (
	RelayPoints = &Metric{
		Name: "poolgauge.relay.points", Kind: Counter, Number: Int, Unit: "{point}",
		Help: "Points by what became of them: accepted + recovered (found in the queue's directory at the start) = " +
			"sent + rejected (by the upstream, for good) + dropped (by the queue) + still queued. Those refused were never accepted. " +
			"Of those recovered, resent says how many may have been sent before.",
		Attributes: []Attribute{
			signalAttribute,
			{Key: PointOutcomeKey, Values: []string{"accepted", "recovered", "resent", "sent", "rejected", "dropped", "refused"}},
			{Key: PointReasonKey, Help: "why, for rejected (a gRPC status or HTTP code, or partial), dropped (full, damaged) and refused"},
		},
	}
	RelayQueuePoints = &Metric{
		Name: "poolgauge.relay.queue.points", Kind: UpDownCounter, Number: Int, Unit: "{point}",
		Help: "Points that wait for the upstream or are on their way to it.", Attributes: []Attribute{signalAttribute},
	}
	RelayQueueUsage = &Metric{
		Name: "poolgauge.relay.queue.usage", Kind: UpDownCounter, Number: Int, Unit: "By",
		Help: "Size of what is queued.",
	}
	RelayQueueLimit = &Metric{
		Name: "poolgauge.relay.queue.limit", Kind: UpDownCounter, Number: Int, Unit: "By",
		Help: "Size at which the queue drops its oldest.",
	}
	RelayQueueAge = &Metric{
		Name: "poolgauge.relay.queue.age", Kind: Gauge, Unit: "s",
		Help: "How long the oldest point has been queued.", Absent: "the queue is empty",
	}
	RelayQueueDurable = &Metric{
		Name: "poolgauge.relay.queue.durable", Kind: Gauge, Number: Int, Unit: "1",
		Help: "1 while the queue is on disk, 0 while the disk fails and it is in memory only.", Absent: "no directory configured",
	}
	ExportDuration = &Metric{
		Name: "poolgauge.export.duration", Kind: Histogram, Unit: "s",
		Help:       "How long the upstream took to answer an export.",
		Attributes: []Attribute{{Key: semconv.ErrorTypeKey, Help: "the gRPC status or HTTP code; absent when it was OK"}},
		Absent:     "nothing exported yet",
	}
	UpstreamAvailable = &Metric{
		Name: "poolgauge.upstream.available", Kind: Gauge, Number: Int, Unit: "1",
		Help: "1 if the upstream took the last export, else 0.", Absent: "nothing exported yet",
	}
)
