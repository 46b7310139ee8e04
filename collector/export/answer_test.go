package export

import (
	"testing"
	"unicode/utf8"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
)

// No response causes a panic, the length of the message is bounded, and a response that
// proto.Unmarshal accepts yields the same values.
func FuzzAnswer(f *testing.F) {
	f.Add(partial(f, 3, "too old"))
	f.Add(append(partial(f, 3, "too old"), partial(f, 0, "é")...))
	f.Add([]byte{0x0a, 0x80})
	f.Add([]byte{0x08, 0x01, 0x0b, 0x0c, 0x12, 0x00})
	f.Add([]byte("\x0a\x00\x0a\x02\x08\x07\x0a\x01\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := resultOf(body)
		if got.Rejected < 0 || len(got.Message) > maxMessage+len("…�") || !utf8.ValidString(got.Message) {
			t.Errorf("got %+v, want a valid message of limited length, and no negative count", got)
		}
		var response colmetricpb.ExportMetricsServiceResponse
		if proto.Unmarshal(body, &response) == nil {
			want := Result{
				max(0, response.GetPartialSuccess().GetRejectedDataPoints()),
				short(response.GetPartialSuccess().GetErrorMessage()),
			}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		var status statuspb.Status
		message := messageOf(body)
		if proto.Unmarshal(body, &status) == nil && message != status.GetMessage() {
			t.Errorf("got %q, want %q", message, status.GetMessage())
		}
	})
}
