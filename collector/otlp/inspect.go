package otlp

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Inspect returns the number of data points, spans or log records in data, a serialized
// Export…ServiceRequest. The result is the same as if data were decoded. Inspect validates the
// messages that contain the points, and the resources. It leaves the validation of the points
// themselves to the upstream. A metric of an unknown, newer kind counts as one point. Errors wrap
// [ErrMalformed]. Inspect takes a few nanoseconds per point and does not allocate.
func Inspect(signal Signal, data []byte) (points int64, err error) {
	pointsOf := countOne
	switch signal {
	case Metrics:
		pointsOf = pointsOfMetric
	case Traces, Logs:
	default:
		return 0, fmt.Errorf("%w: unknown signal %d", ErrMalformed, signal)
	}
	f := fields{rest: data}
	for f.next() {
		if !f.is(requestGroups) {
			continue
		}
		n, err := pointsOfGroup(f.value, pointsOf)
		if err != nil {
			return 0, err
		}
		points += n
	}
	if f.err != nil {
		return 0, f.err
	}
	return points, nil
}

func countOne([]byte) (int64, error) { return 1, nil }

// pointsOfGroup counts the points of group, a ResourceMetrics, ResourceSpans or ResourceLogs.
// pointsOf returns the number of points in one record.
func pointsOfGroup(group []byte, pointsOf func([]byte) (int64, error)) (points int64, err error) {
	f := fields{rest: group}
	for f.next() {
		var n int64
		switch {
		case f.is(groupResource):
			err = checkResource(f.value)
		case f.is(groupScopes):
			n, err = sum(f.value, scopeRecords, pointsOf)
		}
		if err != nil {
			return 0, err
		}
		points += n
	}
	return points, f.err
}

// checkResource verifies that [Enrich] will be able to read the keys of resource.
func checkResource(resource []byte) error {
	_, err := sum(resource, resourceAttrs, func(kv []byte) (int64, error) {
		_, err := keyOf(kv)
		return 0, err
	})
	return err
}

// pointsOfMetric counts the points of a metric. The data of a metric is a oneof: if several members
// are present, the last one wins, as in any protobuf decoder.
func pointsOfMetric(metric []byte) (points int64, err error) {
	var kind protowire.Number
	unknown := false
	f := fields{rest: metric}
	for f.next() {
		if f.value == nil {
			continue
		}
		switch f.num {
		case 5, 7, 9, 10, 11: // gauge, sum, histogram, exponential histogram, summary
			n, err := sum(f.value, dataPoints, countOne)
			if err != nil {
				return 0, err
			}
			if f.num != kind {
				kind, points = f.num, 0
			}
			points += n
		case 1, 2, 3, metricMetadata: // name, description, unit
		default:
			unknown = true
		}
	}
	if kind == 0 && unknown {
		points = 1
	}
	return points, f.err
}

// sum calls count for each message with the field number num in parent, and returns the sum of the
// results.
func sum(parent []byte, num protowire.Number, count func([]byte) (int64, error)) (total int64, err error) {
	f := fields{rest: parent}
	for f.next() {
		if !f.is(num) {
			continue
		}
		n, err := count(f.value)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, f.err
}
