package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Bounds of what JSON may ask for, since three bytes of it can be an object of hundreds in memory.
const (
	mostObjects = 1 << 17
	deepest     = 100 // levels of nesting, as protobuf allows elsewhere
)

// FromJSON returns the serialized Export…ServiceRequest of one in OTLP's JSON, whose trace and span IDs are in hex. Unknown keys are
// ignored, as OTLP demands. Errors wrap [ErrMalformed]. While it runs it needs several times the memory of body.
func FromJSON(signal Signal, body []byte) ([]byte, error) {
	if n := bytes.Count(body, []byte("{")); n > mostObjects {
		return nil, fmt.Errorf("%w JSON: %d objects, at most %d", ErrMalformed, n, mostObjects)
	}
	// These are the requests, under names that do not bring a gRPC gateway along.
	var message proto.Message
	var ids func() error
	switch signal {
	case Metrics:
		m := &metricspb.MetricsData{}
		message, ids = m, func() error { return fixMetrics(m) }
	case Traces:
		m := &tracepb.TracesData{}
		message, ids = m, func() error { return fixTraces(m) }
	case Logs:
		m := &logspb.LogsData{}
		message, ids = m, func() error { return fixLogs(m) }
	default:
		return nil, fmt.Errorf("%w JSON: no such signal: %d", ErrMalformed, signal)
	}
	options := protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: deepest}
	if err := options.Unmarshal(body, message); err != nil {
		return nil, fmt.Errorf("%w JSON: %w", ErrMalformed, err)
	}
	if err := ids(); err != nil {
		return nil, fmt.Errorf("%w JSON: %w", ErrMalformed, err)
	}
	data, err := proto.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("%w JSON: %w", ErrMalformed, err)
	}
	return data, nil
}

func fixTraces(m *tracepb.TracesData) error {
	for _, group := range m.ResourceSpans {
		for _, scope := range group.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				if err := fixSpan(span); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func fixSpan(span *tracepb.Span) error {
	if err := fixIDs(&span.TraceId, &span.SpanId); err != nil {
		return err
	}
	for _, link := range span.Links {
		if err := fixIDs(&link.TraceId, &link.SpanId); err != nil {
			return err
		}
	}
	return fixID(&span.ParentSpanId, spanIDSize)
}

func fixLogs(m *logspb.LogsData) error {
	for _, group := range m.ResourceLogs {
		for _, scope := range group.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				if err := fixIDs(&record.TraceId, &record.SpanId); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func fixMetrics(m *metricspb.MetricsData) error {
	for _, group := range m.ResourceMetrics {
		for _, scope := range group.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				if err := fixMetric(metric); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func fixMetric(m *metricspb.Metric) error {
	return firstError(
		fixPoints(m.GetGauge().GetDataPoints()),
		fixPoints(m.GetSum().GetDataPoints()),
		fixPoints(m.GetHistogram().GetDataPoints()),
		fixPoints(m.GetExponentialHistogram().GetDataPoints()),
	)
}

func fixPoints[P interface{ GetExemplars() []*metricspb.Exemplar }](points []P) error {
	for _, p := range points {
		for _, exemplar := range p.GetExemplars() {
			if err := fixIDs(&exemplar.TraceId, &exemplar.SpanId); err != nil {
				return err
			}
		}
	}
	return nil
}

// Sizes of IDs in bytes.
const (
	traceIDSize = 16
	spanIDSize  = 8
)

func fixIDs(trace, span *[]byte) error {
	return firstError(fixID(trace, traceIDSize), fixID(span, spanIDSize))
}

// fixID makes up for protobuf's JSON, which takes the hex digits of an ID for base64. An absent ID stays absent.
func fixID(id *[]byte, size int) error {
	if len(*id) == 0 {
		return nil
	}
	digits := base64.StdEncoding.EncodeToString(*id)
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != size {
		return fmt.Errorf("expected an ID of %d hex digits, got %.40q", 2*size, digits)
	}
	*id = raw
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
