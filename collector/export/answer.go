package export

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// resultOf reads the Export…ServiceResponse of any signal: they have the same fields. An upstream whose answer cannot be read took the
// request all the same, by its status.
func resultOf(body []byte) Result {
	var r Result
	whole := true
	ok := eachField(body, func(num protowire.Number, value []byte, _ uint64) {
		if num == 1 && value != nil { // partial_success
			whole = r.merge(value) && whole
		}
	})
	if !ok || !whole {
		return Result{Message: "the answer is not OTLP"}
	}
	return r
}

// merge reads an Export…PartialSuccess, and reports whether it is one.
func (r *Result) merge(partial []byte) (ok bool) {
	return eachField(partial, func(num protowire.Number, value []byte, number uint64) {
		switch {
		case num == 1 && value == nil:
			r.Rejected = max(0, int64(number)) //nolint:gosec // an int64 on the wire
		case num == 2 && value != nil:
			r.Message = short(string(value))
		}
	})
}

// messageOf returns the message of a serialized google.rpc.Status, empty if it is none.
func messageOf(status []byte) (message string) {
	ok := eachField(status, func(num protowire.Number, value []byte, _ uint64) {
		if num == 2 && value != nil {
			message = string(value)
		}
	})
	if !ok {
		return ""
	}
	return message
}

// eachField calls f with every field of a message: a length-delimited one has a value that is not nil, a varint has a number, and any other
// has neither. It reports whether message is one.
func eachField(message []byte, f func(num protowire.Number, value []byte, number uint64)) (ok bool) {
	for len(message) > 0 {
		num, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return false
		}
		message = message[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(num, kind, message)
		}
		if n < 0 {
			return false
		}
		if kind == protowire.BytesType || kind == protowire.VarintType {
			f(num, value, number)
		}
		message = message[n:]
	}
	return true
}
