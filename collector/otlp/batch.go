// Package otlp handles export requests of OTLP in their wire form: it counts their points, adds
// attributes to their resources and joins them, without decoding what it passes on, so that every
// byte of a point survives, unknown fields too.
package otlp

// Signal is what an export request carries.
type Signal uint8

// The signals that are relayed. The numbers are stored in queue files: they never change.
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
	Points int64  // data points, spans or log records in Data
	Data   []byte // a serialized Export…ServiceRequest; nobody changes it once it is in a batch
}

// Method returns the gRPC method that exports the signal, as "/package.Service/Export"; empty for
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

// Path returns the path of OTLP/HTTP that takes the signal.
func (s Signal) Path() string { return "/v1/" + s.String() }
