package otlp

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// splitPaths has, for each signal, the numbers of the repeated fields from a request down to a
// point, level by level. Where a level has several numbers, a message has one of these fields.
var splitPaths = map[Signal][][]protowire.Number{
	Metrics: {{requestGroups}, {groupScopes}, {scopeRecords}, {5, 7, 9, 10, 11}, {dataPoints}},
	Traces:  {{requestGroups}, {groupScopes}, {scopeRecords}},
	Logs:    {{requestGroups}, {groupScopes}, {scopeRecords}},
}

// Split divides a serialized Export…ServiceRequest into two of about the same size. Together they
// have its points, in the same order. It divides between groups if there are several, otherwise
// between scopes, then records, then the points of a metric. Everything around the points,
// including unknown fields, is in both.
//
// Split returns false if the request has fewer than two points or is malformed, or if the parts
// would be hardly smaller.
func Split(signal Signal, request []byte) (first, second []byte, ok bool) {
	first, second, ok = split(request, splitPaths[signal])
	if !ok || max(len(first), len(second)) > len(request)-len(request)/8 {
		return nil, nil, false // both parts would contain the large resource
	}
	return first, second, true
}

// split divides a message among the elements that path leads to.
func split(message []byte, path [][]protowire.Number) (first, second []byte, ok bool) {
	if len(path) == 0 {
		return nil, nil, false
	}
	var only []byte // the value of the last element
	around, size, count := 0, 0, 0
	f := fields{rest: message}
	for f.next() {
		if isElement(&f, path[0]) {
			only, size, count = f.value, size+len(f.whole), count+1
		} else {
			around += len(f.whole)
		}
	}
	if f.err != nil || count == 0 {
		return nil, nil, false
	}
	if count == 1 {
		if first, second, ok = split(only, path[1:]); !ok {
			return nil, nil, false
		}
		return replace(message, path[0], first), replace(message, path[0], second), true
	}
	first, second = halves(message, path[0], around+size/2+1, count, size/2)
	return first, second, true
}

// halves divides a message between its elements, of which there must be at least two. The elements
// of the first part have at most half bytes, unless the first element alone is larger. capacity is
// the expected size of each part.
func halves(message []byte, numbers []protowire.Number, capacity, count, half int) (first, second []byte) {
	first, second = make([]byte, 0, capacity), make([]byte, 0, capacity)
	left, n, full := 0, 0, false
	for f := (fields{rest: message}); f.next(); {
		if !isElement(&f, numbers) {
			first, second = append(first, f.whole...), append(second, f.whole...)
			continue
		}
		full = full || n > 0 && (n == count-1 || left+len(f.whole) > half)
		if n++; full {
			second = append(second, f.whole...)
			continue
		}
		first = append(first, f.whole...)
		left += len(f.whole)
	}
	return first, second
}

func isElement(f *fields, numbers []protowire.Number) bool {
	return f.value != nil && slices.Contains(numbers, f.num)
}

// replace returns a message with its only element replaced by value.
func replace(message []byte, numbers []protowire.Number, value []byte) []byte {
	out := make([]byte, 0, len(value)+64)
	for f := (fields{rest: message}); f.next(); {
		if isElement(&f, numbers) {
			out = appendMessage(out, f.num, value)
		} else {
			out = append(out, f.whole...)
		}
	}
	return out
}
