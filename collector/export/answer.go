package export

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// resultOf parses the Export…ServiceResponse of any signal. If it cannot be parsed, the request
// counts as accepted nonetheless, because of its status.
func resultOf(body []byte) Result {
	rejected, message, err := otlp.Rejected(body)
	if err != nil {
		return Result{Message: "the response is not OTLP"}
	}
	return Result{Rejected: rejected, Message: short(message)}
}

// messageOf returns the message of a serialized google.rpc.Status (field 2), or "" if it has none.
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
