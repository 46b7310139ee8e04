package otlp

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Join concatenates requests, which must be serialized requests of one signal, in order. The result
// is one valid request because protobuf merges concatenated messages. It shares no memory with
// requests.
func Join(requests ...[]byte) []byte { return slices.Concat(requests...) }

// Rejected returns how many points the receiver rejected, and why, according to response, the
// receiver's serialized Export…ServiceResponse. If points is 0, message is a warning. Errors wrap
// [ErrMalformed].
func Rejected(response []byte) (points int64, message string, err error) {
	f := fields{rest: response}
	for f.next() {
		if !f.is(1) { // partial_success
			continue
		}
		if err := partialSuccess(f.value, &points, &message); err != nil {
			return 0, "", err
		}
	}
	if f.err != nil {
		return 0, "", f.err
	}
	return max(0, points), message, nil
}

// partialSuccess reads partial, an Export…PartialSuccess. Its field numbers are the same for all
// three signals.
func partialSuccess(partial []byte, points *int64, message *string) error {
	f := fields{rest: partial}
	for f.next() {
		num, kind, n := protowire.ConsumeTag(f.whole)
		switch {
		case num == 1 && kind == protowire.VarintType:
			rejected, _ := protowire.ConsumeVarint(f.whole[n:])
			*points = int64(rejected)
		case f.is(2):
			*message = string(f.value)
		}
	}
	if f.err != nil {
		return fmt.Errorf("malformed partial_success: %w", f.err)
	}
	return nil
}
