package receive

import (
	"bytes"
	"net/http"
	"testing"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

func TestHeaders(t *testing.T) {
	b := start(t, nil)
	for name, c := range map[string]struct {
		method, path, contentType, encoding string
		want                                int
		reason                              Reason
	}{
		"method":           {http.MethodGet, "/v1/metrics", "application/x-protobuf", "", 405, ""},
		"path":             {http.MethodPost, "/v1/profiles", "application/x-protobuf", "", 404, ""},
		"content type":     {http.MethodPost, "/v1/metrics", "text/plain", "", 415, Unsupported},
		"no content type":  {http.MethodPost, "/v1/metrics", "", "", 415, Unsupported},
		"encoding":         {http.MethodPost, "/v1/metrics", "application/x-protobuf", "br", 415, Unsupported},
		"not gzip":         {http.MethodPost, "/v1/metrics", "application/x-protobuf", "gzip", 400, Malformed},
		"not zstd":         {http.MethodPost, "/v1/metrics", "application/x-protobuf", "zstd", 400, Malformed},
		"not JSON":         {http.MethodPost, "/v1/metrics", "application/json", "", 400, Malformed},
		"identity is none": {http.MethodPost, "/v1/metrics", "application/x-protobuf", "identity", 200, ""},
	} {
		r, body := b.request(
			t,
			c.method,
			c.path,
			bytes.NewReader(metrics(t, 1)),
			"Content-Type",
			c.contentType,
			"Content-Encoding",
			c.encoding,
		)
		if r.StatusCode != c.want {
			t.Errorf("%s: got status %d, want %d", name, r.StatusCode, c.want)
		}
		if c.want == 405 && r.Header.Get("Allow") != "POST" {
			t.Errorf("%s: got Allow %q, want POST", name, r.Header.Get("Allow"))
		}
		if c.reason == "" {
			continue
		}
		b.checkRefused(t, refused{otlp.Metrics, 0, c.reason})
		if c.contentType == "application/json" || c.contentType == "" {
			got := &statuspb.Status{}
			if err := protojson.Unmarshal(
				body,
				got,
			); err != nil ||
				codes.Code(got.GetCode()) != statusCodes[c.reason].code {
				t.Errorf("%s: got body %q, %v, want a status of reason %s", name, body, err, c.reason)
			}
		}
	}
}

func TestEmptyRequestsAreOK(t *testing.T) {
	b := start(t, nil)
	conn := dial(t, b.GRPCAddr().String())
	for _, data := range [][]byte{nil, {0x0a, 0x00}} {
		if s, _ := export(t.Context(), conn, otlp.Logs, data); s.Code() != codes.OK {
			t.Errorf("gRPC: got status %v, want OK", s)
		}
		if r, _ := b.post(
			t,
			"/v1/traces",
			data,
			"Content-Type",
			"application/x-protobuf",
		); r.StatusCode != http.StatusOK {
			t.Errorf("HTTP: got status %d, want 200", r.StatusCode)
		}
	}
	if n := len(b.accepted()); n != 0 {
		t.Errorf("Accept was called %d times, want 0", n)
	}
}

func TestOtherMethods(t *testing.T) {
	b := start(t, nil)
	conn := dial(t, b.GRPCAddr().String())
	var response message
	err := conn.Invoke(
		t.Context(),
		"/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
		emptyResponse,
		&response,
		grpc.ForceCodecV2(rawCodec{}),
	)
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v, want Unimplemented", err)
	}
}
