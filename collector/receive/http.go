package receive

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// format is how requests and answers are written.
type format struct {
	contentType string
	json        bool
	answer      []byte // to an accepted request
}

var (
	protobufFormat = format{contentType: "application/x-protobuf"}
	jsonFormat     = format{contentType: "application/json", json: true, answer: []byte("{}")}
)

// status returns s in the format.
func (f format) status(s *statuspb.Status) []byte {
	encode := proto.Marshal
	if f.json {
		encode = protojson.Marshal
	}
	body, err := encode(s)
	if err != nil {
		return nil // an answer without a text is one too
	}
	return body
}

// handler serves the three paths; another method than POST gets 405 and another path 404.
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
			_, _ = w.Write(f.answer) // or the client is gone
		})
	}
	return mux
}

// discarded is how much of a body that was refused is read, so that the client, which may not read before it has sent all, gets the answer and not a
// reset.
const discarded = 64 << 20

func discard(body io.Reader) { _, _ = io.CopyN(io.Discard, body, discarded) } // or the client is gone, or out of time

// connKey is that of a request's connection in its context.
type connKey struct{}

func (s *Server) serve(signal otlp.Signal, r *http.Request) (f format, points int64, refusal *Refusal) {
	f, gzipped, refusal := negotiate(r.Header)
	if refusal != nil {
		return f, 0, refusal
	}
	if r.ContentLength > int64(s.gate.message) {
		return f, 0, s.tooLarge()
	}
	from, known := r.Context().Value(connKey{}).(*conn)
	body, refusal := s.arrive(from, r, gzipped)
	if refusal != nil {
		return f, 0, refusal
	}
	if known {
		from.accepting.Add(1)
		defer from.accepting.Add(-1)
	}
	if !f.json {
		points, refusal = s.take(r.Context(), signal, body.ReadOnlyData(), body.Free)
		return f, points, refusal
	}
	done, refusal := s.gate.accepting(signal, body.Len())
	if refusal != nil {
		body.Free()
		return f, 0, refusal
	}
	data, refusal := s.fromJSON(r.Context(), signal, body.ReadOnlyData())
	done()
	body.Free()
	if refusal != nil {
		return f, 0, refusal
	}
	points, refusal = s.take(r.Context(), signal, data, func() {})
	return f, points, refusal
}

// arrive reads the body, whose bytes count at the gate of its connection meanwhile. The caller frees it.
func (s *Server) arrive(from *conn, r *http.Request, gzipped bool) (body mem.Buffer, refusal *Refusal) {
	if from == nil {
		return s.read(r, gzipped)
	}
	a := from.begin(func(error) { _ = from.SetReadDeadline(time.Unix(1, 0)) })
	if body, refusal = s.read(r, gzipped); refusal != nil {
		a.end(0)
		return nil, refusal
	}
	a.end(max(1, body.Len()))
	return body, nil
}

// negotiate reads what the headers say of the body.
func negotiate(h http.Header) (f format, gzipped bool, refusal *Refusal) {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err == nil && media == protobufFormat.contentType:
		f = protobufFormat
	case err == nil && media == jsonFormat.contentType:
		f = jsonFormat
	default:
		return jsonFormat, false, &Refusal{
			Reason:  Unsupported,
			Message: fmt.Sprintf("Content-Type: expected application/x-protobuf or application/json, got %.80q", h.Get("Content-Type")),
		}
	}
	switch encoding := strings.ToLower(h.Get("Content-Encoding")); encoding {
	case "", "identity":
		return f, false, nil
	case "gzip":
		return f, true, nil
	default:
		return f, false, &Refusal{Reason: Unsupported, Message: fmt.Sprintf("Content-Encoding: expected gzip or none, got %.80q", encoding)}
	}
}

var inflaters = sync.Pool{New: func() any { return new(gzip.Reader) }}

// read returns the body, decompressed, for the caller to free.
func (s *Server) read(r *http.Request, gzipped bool) (mem.Buffer, *Refusal) {
	source := io.LimitReader(r.Body, int64(s.gate.message)+1)
	if gzipped {
		inflater := inflaters.Get().(*gzip.Reader)
		defer inflaters.Put(inflater)
		if err := inflater.Reset(source); err != nil {
			return nil, unread(err)
		}
		source = inflater
	}
	pool := mem.DefaultBufferPool()
	data, err := mem.ReadAll(io.LimitReader(source, int64(s.gate.message)+1), pool)
	defer data.Free()
	switch {
	case data.Len() > s.gate.message:
		return nil, s.tooLarge()
	case err != nil:
		return nil, unread(err)
	}
	return data.MaterializeToBuffer(pool), nil
}

func unread(err error) *Refusal {
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

// fromJSON converts one body at a time: the result is in memory beside it.
func (s *Server) fromJSON(ctx context.Context, signal otlp.Signal, body []byte) ([]byte, *Refusal) {
	if err := s.converting.Acquire(ctx, 1); err != nil {
		return nil, &Refusal{Reason: Canceled, Message: err.Error()}
	}
	defer s.converting.Release(1)
	data, err := otlp.FromJSONWithin(signal, body, s.gate.message)
	switch {
	case errors.Is(err, otlp.ErrTooLarge):
		return nil, s.tooLarge()
	case err != nil:
		return nil, &Refusal{Reason: Malformed, Message: err.Error()}
	}
	return data, nil
}
