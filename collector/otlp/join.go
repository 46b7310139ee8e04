package otlp

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Join concatenates serialized requests of one signal, in order, into a single request, which is
// valid because protobuf merges concatenated messages. The result shares no memory with them.
func Join(requests ...[]byte) []byte { return slices.Concat(requests...) }

// Rejected returns how many points the receiver rejected, and why, according to its serialized
// Export…ServiceResponse. A message with 0 points is a warning. Errors wrap [ErrMalformed].
func Rejected(answer []byte) (points int64, message string, err error) {
	f := fields{rest: answer}
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

// partialSuccess reads an Export…PartialSuccess, whose field numbers are the same for all three
// signals.
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
		return fmt.Errorf("partial success: %w", f.err)
	}
	return nil
}
