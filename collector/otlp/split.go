package otlp

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// splitPaths holds, for each signal and level, the numbers of the repeated fields on the path from
// a request down to a point. If a level has several numbers, each message has one of these fields.
var splitPaths = map[Signal][][]protowire.Number{
	Metrics: {{requestGroups}, {groupScopes}, {scopeRecords}, {5, 7, 9, 10, 11}, {dataPoints}},
	Traces:  {{requestGroups}, {groupScopes}, {scopeRecords}},
	Logs:    {{requestGroups}, {groupScopes}, {scopeRecords}},
}

// Split divides request, a serialized Export…ServiceRequest, into two requests of about the same
// size. Together they have request's points, in the same order. Split divides between groups if
// there are several, otherwise between scopes, then records, then the points of a metric.
// Everything else, including unknown fields, is in both parts.
//
// Split returns false if request has fewer than two points or is malformed, or if the parts would
// hardly be smaller than request.
func Split(signal Signal, request []byte) (first, second []byte, ok bool) {
	layers, cut, ok := dissect(request, splitPaths[signal])
	if !ok || max(layers[0].sizes[0], layers[0].sizes[1]) > len(request)-len(request)/8 {
		return nil, nil, false // both parts would contain the large resource
	}
	first = appendPart(make([]byte, 0, layers[0].sizes[0]), layers, 0, cut)
	second = appendPart(make([]byte, 0, layers[0].sizes[1]), layers, 1, cut)
	return first, second, true
}

// layer is a message on the path from a request down to the elements between which the request is
// divided.
type layer struct {
	message []byte
	numbers []protowire.Number // field numbers of the elements
	sizes   [2]int             // sizes of the message in the two parts
	around  int                // number of bytes that are not in elements
	count   int                // number of elements
	last    []byte             // the value of the last element
	num     protowire.Number   // the field number of the last element
}

// read sets the fields that are derived from the message. It returns false if the message is
// malformed or has no elements.
func (l *layer) read() (ok bool) {
	f := fields{rest: l.message}
	for f.next() {
		if isElement(&f, l.numbers) {
			l.last, l.num, l.count = f.value, f.num, l.count+1
		} else {
			l.around += len(f.whole)
		}
	}
	return f.err == nil && l.count > 0
}

// dissect returns the layers down to the first one with several elements. The first part gets the
// elements before cut.
func dissect(request []byte, path [][]protowire.Number) (layers []layer, cut int, ok bool) {
	for _, numbers := range path {
		l := layer{message: request, numbers: numbers}
		if !l.read() {
			return nil, 0, false
		}
		if l.count > 1 {
			cut = l.divide()
		}
		layers = append(layers, l)
		if l.count > 1 {
			break
		}
		request = l.last
	}
	if cut == 0 {
		return nil, 0, false
	}
	for i := len(layers) - 2; i >= 0; i-- {
		l, inner := &layers[i], &layers[i+1]
		for part := range l.sizes {
			l.sizes[part] = l.around + sizeOfMessage(l.num, inner.sizes[part])
		}
	}
	return layers, cut, true
}

// divide returns how many elements go into the first part, and sets l.sizes. There must be at least
// two elements. The first part has at most half of the elements' bytes, unless the first element
// alone has more.
func (l *layer) divide() (cut int) {
	size := len(l.message) - l.around
	left := 0
	for f := (fields{rest: l.message}); f.next(); {
		if !isElement(&f, l.numbers) {
			continue
		}
		if cut > 0 && (cut == l.count-1 || left+len(f.whole) > size/2) {
			break
		}
		cut++
		left += len(f.whole)
	}
	l.sizes = [2]int{l.around + left, l.around + size - left}
	return cut
}

// appendPart appends the first layer's message to out, with only the elements that belong to the
// given part: those before index cut to part 0, and the others to part 1.
func appendPart(out []byte, layers []layer, part, cut int) []byte {
	l, n := &layers[0], 0
	for f := (fields{rest: l.message}); f.next(); {
		switch {
		case !isElement(&f, l.numbers):
			out = append(out, f.whole...)
		case l.count == 1:
			out = protowire.AppendTag(out, f.num, protowire.BytesType)
			out = protowire.AppendVarint(out, uint64(layers[1].sizes[part]))
			out = appendPart(out, layers[1:], part, cut)
		default:
			if (n < cut) == (part == 0) {
				out = append(out, f.whole...)
			}
			n++
		}
	}
	return out
}

func isElement(f *fields, numbers []protowire.Number) bool {
	return f.value != nil && slices.Contains(numbers, f.num)
}
