package otlp

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is wrapped by every error about a request that violates OTLP. Retrying such a
// request would not help.
var ErrMalformed = errors.New("malformed OTLP")

// The field numbers on the path to a point. They are the same for all three signals, except inside
// a metric.
const (
	// in Export…ServiceRequest: ResourceMetrics, ResourceSpans or ResourceLogs, here called a group
	requestGroups  protowire.Number = 1
	groupResource  protowire.Number = 1
	groupScopes    protowire.Number = 2
	scopeRecords   protowire.Number = 2 // metrics, spans, log records
	resourceAttrs  protowire.Number = 1
	keyValueKey    protowire.Number = 1
	metricMetadata protowire.Number = 12
	dataPoints     protowire.Number = 1 // in every kind of metric data
)

// fields iterates over the fields of one message in wire format. It does not allocate: the fields
// alias the message's memory.
type fields struct {
	rest  []byte // not yet read
	whole []byte // the current field, including its tag
	value []byte // content of the current field if it is length-delimited; otherwise nil
	num   protowire.Number
	err   error // why next stopped before the end
}

// next reads one field. It returns false at the end or on error.
func (f *fields) next() bool {
	if len(f.rest) == 0 || f.err != nil {
		return false
	}
	num, kind, n := protowire.ConsumeTag(f.rest)
	if n < 0 {
		return f.fail(n)
	}
	f.num, f.value = num, nil
	var size int
	if kind == protowire.BytesType {
		f.value, size = protowire.ConsumeBytes(f.rest[n:])
	} else {
		size = protowire.ConsumeFieldValue(num, kind, f.rest[n:])
	}
	if size < 0 {
		return f.fail(size)
	}
	f.whole, f.rest = f.rest[:n+size], f.rest[n+size:]
	return true
}

func (f *fields) fail(n int) bool {
	f.err = fmt.Errorf("%w: %w", ErrMalformed, protowire.ParseError(n))
	return false
}

// is reports whether the current field is a message, string or bytes field with the number num.
func (f *fields) is(num protowire.Number) bool { return f.num == num && f.value != nil }

// sizeOfMessage returns the encoded size of field num holding a message of n bytes.
func sizeOfMessage(num protowire.Number, n int) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(n)
}
