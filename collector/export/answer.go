package export

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// resultOf parses body, an Export…ServiceResponse of any signal. If body cannot be parsed, the
// request still counts as accepted, because the response's status says so.
func resultOf(body []byte) Result {
	rejected, message, err := otlp.Rejected(body)
	if err != nil {
		return Result{Message: "the response is not OTLP"}
	}
	return Result{Rejected: rejected, Message: short(message)}
}

// messageOf returns the message (field 2) of status, a serialized google.rpc.Status, or "" if there
// is none.
func messageOf(status []byte) (message string) {
	for len(status) > 0 {
		num, kind, n := protowire.ConsumeField(status)
		if n < 0 {
			return ""
		}
		if num == 2 && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(status)
			value, _ := protowire.ConsumeBytes(status[tag:])
			message = string(value)
		}
		status = status[n:]
	}
	return message
}
