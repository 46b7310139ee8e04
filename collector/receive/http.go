package receive

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/compress"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// format is an encoding of requests and responses.
type format struct {
	contentType string
	json        bool
	success     []byte // body of the response to an accepted request
}

var (
	protobufFormat = format{contentType: "application/x-protobuf"}
	jsonFormat     = format{contentType: "application/json", json: true, success: []byte("{}")}
)

// status returns s as the body of an error response.
func (f format) status(s *statuspb.Status) []byte {
	encode := proto.Marshal
	if f.json {
		encode = protojson.Marshal
	}
	body, err := encode(s)
	if err != nil {
		return nil // a response without a body is also valid
	}
	return body
}

// handler returns a handler for the OTLP path of each signal. Methods other than POST get status
// 405, and other paths 404.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, signal := range otlp.Signals() {
		mux.HandleFunc("POST "+signal.Path(), func(w http.ResponseWriter, r *http.Request) {
			f, points, refusal := s.serve(signal, r)
			if refusal != nil {
				s.refused(signal, points, refusal)
				discard(r.Body)
				refusal.respond(w, f)
				return
			}
			w.Header().Set("Content-Type", f.contentType)
			_, _ = w.Write(f.success) // fails only if the client has disconnected
		})
	}
	return mux
}

// maxDiscard is the maximum number of bytes read of a refused body. If the body were not read, a
// client that sends everything before it reads the response would get a connection reset instead of
// the response.
const maxDiscard = 64 << 20

// discard reads and discards the body. It ignores errors, which mean that the client has
// disconnected or is too slow.
func discard(body io.Reader) { _, _ = io.CopyN(io.Discard, body, maxDiscard) }

// connKey is the context key of a request's connection.
type connKey struct{}

func (s *Server) serve(signal otlp.Signal, r *http.Request) (f format, points int64, refusal *Refusal) {
	f, encoding, refusal := negotiate(r.Header)
	if refusal != nil {
		return f, 0, refusal
	}
	if r.ContentLength > int64(s.gate.message) {
		return f, 0, s.tooLarge()
	}
	from, _ := r.Context().Value(connKey{}).(*conn)
	a := from.begin(func(error) { _ = from.SetReadDeadline(time.Unix(1, 0)) })
	data, refusal := s.read(r)
	if refusal != nil {
		a.abandon()
		return f, 0, refusal
	}
	defer a.complete(len(data))()
	points, refusal = s.process(r.Context(), signal, &body{data: data, encoding: encoding, json: f.json, arrival: a})
	return f, points, refusal
}

// negotiate returns the format and compression of a request's body according to the headers h.
func negotiate(h http.Header) (f format, encoding string, refusal *Refusal) {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err == nil && media == protobufFormat.contentType:
		f = protobufFormat
	case err == nil && media == jsonFormat.contentType:
		f = jsonFormat
	default:
		return jsonFormat, "", &Refusal{
			Reason: Unsupported,
			Message: fmt.Sprintf(
				"Content-Type: expected application/x-protobuf or application/json, got %.80q",
				h.Get("Content-Type"),
			),
		}
	}
	switch encoding = strings.ToLower(h.Get("Content-Encoding")); encoding {
	case "", "identity":
		return f, compress.None, nil
	case compress.Gzip, compress.Zstd:
		return f, encoding, nil
	default:
		return f, "", &Refusal{
			Reason:  Unsupported,
			Message: fmt.Sprintf("Content-Encoding: expected gzip, zstd or none, got %.80q", encoding),
		}
	}
}

// read reads the body of r. The buffer grows as data arrives, because a client may never send as
// much as it announces.
func (s *Server) read(r *http.Request) ([]byte, *Refusal) {
	size := s.gate.message
	if r.ContentLength >= 0 {
		size = min(size, int(r.ContentLength))
	}
	full := size + 1 + spareFor(size) // one extra byte, to see io.EOF without growing b
	b := make([]byte, 0, min(full, minBody))
	for {
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > s.gate.message:
			return nil, s.tooLarge()
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, readRefusal(err)
		case len(b) == cap(b):
			b = append(make([]byte, 0, min(2*cap(b), full)), b...)
		}
	}
}

// minBody is the number of bytes allocated for a body before any of it has arrived.
const minBody = 4 << 10

// readRefusal converts err, an error of reading a body, to a refusal.
func readRefusal(err error) *Refusal {
	var network net.Error
	switch {
	case errors.As(err, &network) && network.Timeout():
		return &Refusal{Reason: Slow, RetryAfter: retryDelay, Message: errStalled.Error()}
	case errors.As(err, &network):
		return &Refusal{Reason: Canceled, Message: err.Error()}
	default:
		return &Refusal{Reason: Malformed, Message: err.Error()}
	}
}
