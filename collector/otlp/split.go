package otlp

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// splitPaths are, for each signal, the numbers of the repeated fields from a request down to a point, level by level. A level of several numbers is a
// choice of which a message has one.
var splitPaths = map[Signal][][]protowire.Number{
	Metrics: {{requestGroups}, {groupScopes}, {scopeRecords}, {5, 7, 9, 10, 11}, {dataPoints}},
	Traces:  {{requestGroups}, {groupScopes}, {scopeRecords}},
	Logs:    {{requestGroups}, {groupScopes}, {scopeRecords}},
}

// Split divides a serialized Export…ServiceRequest into two of about the same size, which together have its points and in their order: between groups,
// else scopes, else records, else the points of a metric. What stands around the points, unknown fields too, is in both. It reports false for a request
// that cannot be divided, because it has one point or none, or is malformed.
func Split(signal Signal, request []byte) (first, second []byte, ok bool) {
	return split(request, splitPaths[signal])
}

// split divides a message whose elements, and what is in them, path leads to.
func split(message []byte, path [][]protowire.Number) (first, second []byte, ok bool) {
	if len(path) == 0 {
		return nil, nil, false
	}
	var around []byte
	var elements [][]byte // whole fields
	var only []byte       // the value of the last
	size := 0
	f := fields{rest: message}
	for f.next() {
		if f.value != nil && slices.Contains(path[0], f.num) {
			elements, only = append(elements, f.whole), f.value
			size += len(f.whole)
			continue
		}
		around = append(around, f.whole...)
	}
	switch {
	case f.err != nil || len(elements) == 0:
		return nil, nil, false
	case len(elements) == 1:
		num, _, _ := protowire.ConsumeTag(elements[0])
		first, second, ok = split(only, path[1:])
		return appendMessage(slices.Clone(around), num, first), appendMessage(slices.Clone(around), num, second), ok
	}
	middle, left := 1, len(elements[0])
	for middle < len(elements)-1 && left+len(elements[middle]) <= size/2 {
		left += len(elements[middle])
		middle++
	}
	first = slices.Concat(append([][]byte{around}, elements[:middle]...)...)
	second = slices.Concat(append([][]byte{around}, elements[middle:]...)...)
	return first, second, true
}
