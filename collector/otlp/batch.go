// Package otlp handles OTLP export requests in their wire format. It counts the points of requests,
// adds attributes to their resources, and joins and splits requests, without decoding the points.
// Every byte of a point is preserved, including unknown fields.
package otlp

// Signal is the kind of telemetry that an export request carries.
type Signal uint8

// The signals that are relayed. Their numbers are stored in queue files and must not change.
const (
	Metrics Signal = 1
	Traces  Signal = 2
	Logs    Signal = 3
)

// Signals returns every signal.
func Signals() []Signal { return []Signal{Metrics, Traces, Logs} }

func (s Signal) String() string {
	switch s {
	case Metrics:
		return "metrics"
	case Traces:
		return "traces"
	case Logs:
		return "logs"
	default:
		return "unknown"
	}
}

// Batch is one export request on its way from a client to the upstream.
type Batch struct {
	Signal Signal
	Points int64  // number of data points, spans or log records in Data
	Data   []byte // a serialized Export…ServiceRequest; must not be modified
}

// Method returns the gRPC method that exports the signal, as "/package.Service/Export", or "" for
// an unknown signal.
func (s Signal) Method() string {
	switch s {
	case Metrics:
		return "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
	case Traces:
		return "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	case Logs:
		return "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
	default:
		return ""
	}
}

// Path returns the OTLP/HTTP path for the signal.
func (s Signal) Path() string { return "/v1/" + s.String() }
