package otlp

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is wrapped by every error about a request that is not what OTLP says: sending it
// again would not help.
var ErrMalformed = errors.New("malformed OTLP")

// The field numbers on the way to a point. They are the same for the three signals, but for what a
// metric has inside.
const (
	// of Export…ServiceRequest: ResourceMetrics, ResourceSpans, ResourceLogs, called a group here
	requestGroups  protowire.Number = 1
	groupResource  protowire.Number = 1
	groupScopes    protowire.Number = 2
	scopeRecords   protowire.Number = 2 // metrics, spans, log records
	resourceAttrs  protowire.Number = 1
	keyValueKey    protowire.Number = 1
	metricMetadata protowire.Number = 12
	dataPoints     protowire.Number = 1 // of every kind of metric
)

// fields walks over the fields of one message in wire form. It allocates nothing, and what it
// yields is part of the message.
type fields struct {
	rest  []byte // not read yet
	whole []byte // the field with its tag
	value []byte // what a length-delimited field holds; nil for any other
	num   protowire.Number
	err   error // why next stopped before the end
}

// next reads one field. It returns false at the end and at an error.
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

// is reports whether the field is the message, string or bytes of the given number.
func (f *fields) is(num protowire.Number) bool { return f.num == num && f.value != nil }

// sizeOfMessage is the size of a field that holds n bytes.
func sizeOfMessage(num protowire.Number, n int) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(n)
}
