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

// Relay is the group of metrics that account for the points that the sidecar accepts, including its
// own.
var Relay = &Group{
	Name: "relay",
	Help: "What becomes of the points that the sidecar accepts, from the app and from itself. A point is a data point, a span or a log record.",
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
	Help:   "the signal of the app; own for the sidecar's own points",
}

// The rows of [Relay].
var (
	RelayPoints = &Metric{
		Name: "poolgauge.relay.points", Kind: Counter, Number: Int, Unit: "{point}",
		Help: "Points by what became of them: accepted + recovered (found in the queue's directory at the start) = " +
			"sent + rejected (by the upstream, for good) + dropped (by the queue) + still queued. Those refused were never accepted. " +
			"Of those recovered, resent says how many may have been sent before.",
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
		Help: "Points that wait for the upstream or are on their way to it.", Attributes: []Attribute{laneAttribute},
	}
	RelayQueueUsage = &Metric{
		Name: "poolgauge.relay.queue.usage", Kind: UpDownCounter, Number: Int, Unit: "By",
		Help: "Size of what is queued.", Attributes: []Attribute{laneAttribute},
	}
	RelayQueueLimit = &Metric{
		Name: "poolgauge.relay.queue.limit", Kind: UpDownCounter, Number: Int, Unit: "By",
		Help: "Size of what may be queued in all lanes together.",
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
		Help: "1 while the queue is on disk, 0 while its storage fails.", Absent: "no directory configured",
	}
	RelayConnections = &Metric{
		Name: "poolgauge.relay.connections", Kind: UpDownCounter, Number: Int, Unit: "{connection}",
		Help: "Connections of clients that are open.",
	}
	RelayConnectionsClosed = &Metric{
		Name: "poolgauge.relay.connections.closed", Kind: Counter, Number: Int, Unit: "{connection}",
		Help: "Connections of clients that were closed to make room for others, the longest idle first.",
	}
	RelayLogDropped = &Metric{
		Name: "poolgauge.log.dropped", Kind: Counter, Number: Int, Unit: "{line}",
		Help: "Lines of the sidecar's log that were dropped because standard error was not read.",
	}
	ExportDuration = &Metric{
		Name: "poolgauge.export.duration",
		Kind: Histogram,
		Unit: "s",
		Help: "How long the upstream took to answer an export.",
		Attributes: []Attribute{
			laneAttribute,
			{Key: semconv.ErrorTypeKey, Help: "the gRPC status or HTTP code; absent when it was OK"},
		},
		Absent: "nothing exported yet",
	}
	UpstreamAvailable = &Metric{
		Name:       "poolgauge.upstream.available",
		Kind:       Gauge,
		Number:     Int,
		Unit:       "1",
		Help:       "1 while the upstream takes requests of the lane, else 0.",
		Attributes: []Attribute{laneAttribute},
		Absent:     "nothing exported yet",
	}
	UpstreamTransitions = &Metric{
		Name:   "poolgauge.upstream.transitions",
		Kind:   Counter,
		Number: Int,
		Unit:   "{transition}",
		Help:   "Changes of what the upstream does with a lane: ok, retrying (items wait), rejecting (items are lost).",
		Attributes: []Attribute{
			laneAttribute,
			{Key: UpstreamStateKey, Values: []string{"ok", "retrying", "rejecting"}},
		},
	}
)
