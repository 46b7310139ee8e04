package receive

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// The media types of OTLP/HTTP.
const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

func newHTTP(in *intake) *http.Server {
	mux := http.NewServeMux()
	for _, signal := range otlp.Signals() {
		mux.Handle("POST "+signal.Path(), handler{in, signal})
	}
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 14,
	}
}

// handler takes the requests of one signal.
type handler struct {
	in     *intake
	signal otlp.Signal
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	refused := h.serve(r, kind)
	if kind != jsonType {
		kind = protobufType
	}
	w.Header().Set("Content-Type", kind)
	if refused == nil {
		_, _ = io.WriteString(w, map[string]string{jsonType: "{}"}[kind]) // in protobuf an empty message is nothing
		return
	}
	if refused.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(refused.after.Seconds()))))
	}
	w.WriteHeader(refused.http)
	_, _ = w.Write(refused.body(kind))
}

func (h handler) serve(r *http.Request, kind string) *refusal {
	if kind != protobufType && kind != jsonType {
		return h.in.refuse(h.signal, 0, unsupported("Content-Type", kind, protobufType+" or "+jsonType))
	}
	hold, err := h.in.gate.enter(r.Context())
	if err != nil {
		return &refusal{"unavailable", codes.Unavailable, http.StatusServiceUnavailable, time.Second, err}
	}
	defer hold.release()
	body, refused := read(r)
	if refused == nil {
		refused = hold.grow(len(body))
	}
	if refused == nil && kind == jsonType {
		if body, err = otlp.FromJSON(h.signal, body); err != nil {
			refused = malformed(err)
		}
	}
	if refused != nil {
		return h.in.refuse(h.signal, 0, refused)
	}
	return h.in.take(context.WithoutCancel(r.Context()), h.signal, body)
}

// read returns the body, unpacked.
func read(r *http.Request) ([]byte, *refusal) {
	if r.ContentLength > LongestRequest {
		return nil, tooLarge()
	}
	reader := io.Reader(r.Body)
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		unpacked, err := gzip.NewReader(reader)
		if err != nil {
			return nil, malformed(fmt.Errorf("gzip: %w", err))
		}
		reader = unpacked
	default:
		return nil, unsupported("Content-Encoding", encoding, "gzip or none")
	}
	body, err := io.ReadAll(io.LimitReader(reader, LongestRequest+1))
	switch {
	case len(body) > LongestRequest:
		return nil, tooLarge()
	case err != nil:
		return nil, malformed(fmt.Errorf("body: %w", err))
	}
	return body, nil
}

func unsupported(header, got, want string) *refusal {
	err := fmt.Errorf("%s: expected %s, got %q", header, want, got)
	return &refusal{"malformed", codes.InvalidArgument, http.StatusUnsupportedMediaType, 0, err}
}

// body returns the refusal as a google.rpc.Status of the media type.
func (r *refusal) body(kind string) []byte {
	s := &statuspb.Status{Code: int32(r.code), Message: r.err.Error()} //nolint:gosec // codes are small
	marshal := proto.Marshal
	if kind == jsonType {
		marshal = func(m proto.Message) ([]byte, error) { return protojson.Marshal(m) }
	}
	body, _ := marshal(s) // of two plain fields: it does not fail
	return body
}
