package catalog

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The attribute keys of the relay.
const (
	LaneKey          = attribute.Key("poolgauge.relay.lane")
	UpstreamStateKey = attribute.Key("poolgauge.upstream.state")
	PointOutcomeKey  = attribute.Key("poolgauge.point.outcome")
	PointReasonKey   = attribute.Key("poolgauge.point.reason")
)

// Relay holds the metrics that count what happens to the points that the sidecar accepts, including
// its own.
var Relay = &Group{
	Name: "relay",
	Help: "What happens to the points that the sidecar accepts, from the app and from itself. A point is a data point, a span or a log record.",
	Metrics: []*Metric{
		RelayPoints,
		RelayQueuePoints,
		RelayQueueUsage,
		RelayQueueLimit,
		RelayQueueAge,
		RelayQueueDurable,
		RelayConnections,
		RelayConnectionsClosed,
		RelayLogDropped,
		ExportDuration,
		UpstreamAvailable,
		UpstreamTransitions,
	},
}

var laneAttribute = Attribute{
	Key:    LaneKey,
	Values: []string{"metrics", "traces", "logs", "own"},
	Help:   "the signal of the app's points; own for the sidecar's own points",
}

// The metrics in [Relay].
var (
	RelayPoints = &Metric{
		Name: "poolgauge.relay.points", Kind: Counter, Number: Int, Unit: "{point}",
		Help: "Points by outcome: accepted + recovered (found in the queue's directory at the start) = " +
			"sent + rejected (permanently, by the upstream) + dropped (by the queue) + still queued. Refused points were never accepted. " +
			"resent counts the recovered points that may have been sent before.",
		Attributes: []Attribute{
			laneAttribute,
			{
				Key:    PointOutcomeKey,
				Values: []string{"accepted", "recovered", "resent", "sent", "rejected", "dropped", "refused"},
			},
			{
				Key:  PointReasonKey,
				Help: "why, for rejected (a gRPC status or HTTP code, or partial), dropped (full, damaged) and refused",
			},
		},
	}
	RelayQueuePoints = &Metric{
		Name: "poolgauge.relay.queue.points", Kind: UpDownCounter, Number: Int, Unit: "{point}",
		Help: "Points that are waiting for the upstream or being sent to it.", Attributes: []Attribute{laneAttribute},
	}
	RelayQueueUsage = &Metric{
		Name: "poolgauge.relay.queue.usage", Kind: UpDownCounter, Number: Int, Unit: "By",
		Help: "Size of the queued points.", Attributes: []Attribute{laneAttribute},
	}
	RelayQueueLimit = &Metric{
		Name: "poolgauge.relay.queue.limit", Kind: UpDownCounter, Number: Int, Unit: "By",
		Help: "Maximum total size of all lanes' queues.",
	}
	RelayQueueAge = &Metric{
		Name:       "poolgauge.relay.queue.age",
		Kind:       Gauge,
		Unit:       "s",
		Help:       "How long the oldest point has been queued.",
		Attributes: []Attribute{laneAttribute},
		Absent:     "the lane is empty",
	}
	RelayQueueDurable = &Metric{
		Name: "poolgauge.relay.queue.durable", Kind: Gauge, Number: Int, Unit: "1",
		Help: "1 while the queue is on disk, 0 while its storage is failing.", Absent: "no directory configured",
	}
	RelayConnections = &Metric{
		Name: "poolgauge.relay.connections", Kind: UpDownCounter, Number: Int, Unit: "{connection}",
		Help: "Open client connections.",
	}
	RelayConnectionsClosed = &Metric{
		Name: "poolgauge.relay.connections.closed", Kind: Counter, Number: Int, Unit: "{connection}",
		Help: "Client connections that were closed to make room for others, longest idle first.",
	}
	RelayLogDropped = &Metric{
		Name: "poolgauge.log.dropped", Kind: Counter, Number: Int, Unit: "{line}",
		Help: "Lines of the sidecar's log that were dropped because nothing read standard error fast enough.",
	}
	ExportDuration = &Metric{
		Name: "poolgauge.export.duration",
		Kind: Histogram,
		Unit: "s",
		Help: "How long the upstream took to respond to an export.",
		Attributes: []Attribute{
			laneAttribute,
			{Key: semconv.ErrorTypeKey, Help: "the gRPC status or HTTP code; absent when it was OK"},
		},
		Absent: "nothing has been exported yet",
	}
	UpstreamAvailable = &Metric{
		Name:       "poolgauge.upstream.available",
		Kind:       Gauge,
		Number:     Int,
		Unit:       "1",
		Help:       "1 while the upstream is accepting the lane's requests, otherwise 0.",
		Attributes: []Attribute{laneAttribute},
		Absent:     "nothing has been exported yet",
	}
	UpstreamTransitions = &Metric{
		Name:   "poolgauge.upstream.transitions",
		Kind:   Counter,
		Number: Int,
		Unit:   "{transition}",
		Help:   "Changes of a lane's state: ok, retrying (points wait), rejecting (points are lost).",
		Attributes: []Attribute{
			laneAttribute,
			{Key: UpstreamStateKey, Values: []string{"ok", "retrying", "rejecting"}},
		},
	}
)
