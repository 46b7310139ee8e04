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
func (s *Server) handler(take intake) http.Handler {
	mux := http.NewServeMux()
	for _, signal := range otlp.Signals() {
		mux.HandleFunc("POST "+signal.Path(), func(w http.ResponseWriter, r *http.Request) {
			f, points, refusal := s.serve(signal, w, r, take)
			if refusal != nil {
				s.refused(signal, points, refusal)
				refusal.respond(w, f)
				return
			}
			w.Header().Set("Content-Type", f.contentType)
			_, _ = w.Write(f.answer) // or the client is gone
		})
	}
	return mux
}

func (s *Server) serve(signal otlp.Signal, w http.ResponseWriter, r *http.Request, take intake) (f format, points int64, refusal *Refusal) {
	f, gzipped, refusal := negotiate(r.Header)
	if refusal != nil {
		return f, 0, refusal
	}
	if r.ContentLength > int64(s.memory.message) {
		return f, 0, s.tooLarge()
	}
	size := s.memory.message
	if r.ContentLength >= 0 && !gzipped && !f.json {
		size = int(r.ContentLength)
	}
	room, refusal := s.memory.reserve(r.Context(), size)
	if refusal != nil {
		return f, 0, refusal
	}
	defer room.release()
	body, refusal := s.read(w, r, gzipped)
	if refusal != nil {
		return f, 0, refusal
	}
	defer body.Free()
	data := body.ReadOnlyData()
	if f.json {
		if data, refusal = s.fromJSON(r.Context(), signal, data); refusal != nil {
			return f, 0, refusal
		}
	}
	room.shrink(len(data))
	points, refusal = take(r.Context(), signal, data)
	return f, points, refusal
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
func (s *Server) read(w http.ResponseWriter, r *http.Request, gzipped bool) (mem.Buffer, *Refusal) {
	source := io.Reader(http.MaxBytesReader(w, r.Body, int64(s.memory.message)))
	if gzipped {
		inflater := inflaters.Get().(*gzip.Reader)
		defer inflaters.Put(inflater)
		if err := inflater.Reset(source); err != nil {
			return nil, s.unread(err)
		}
		source = inflater
	}
	pool := mem.DefaultBufferPool()
	data, err := mem.ReadAll(io.LimitReader(source, int64(s.memory.message)+1), pool)
	defer data.Free()
	switch {
	case err != nil:
		return nil, s.unread(err)
	case data.Len() > s.memory.message:
		return nil, s.tooLarge()
	}
	return data.MaterializeToBuffer(pool), nil
}

func (s *Server) unread(err error) *Refusal {
	var tooLarge *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &tooLarge):
		return s.tooLarge()
	case errors.As(err, &network): // too slow, or gone
		return &Refusal{Reason: Canceled, RetryAfter: retryDelay, Message: err.Error()}
	default:
		return &Refusal{Reason: Malformed, Message: err.Error()}
	}
}

// fromJSON converts one body at a time, since that takes several times its memory.
func (s *Server) fromJSON(ctx context.Context, signal otlp.Signal, body []byte) ([]byte, *Refusal) {
	if err := s.converting.Acquire(ctx, 1); err != nil {
		return nil, &Refusal{Reason: Canceled, Message: err.Error()}
	}
	defer s.converting.Release(1)
	data, err := otlp.FromJSON(signal, body)
	switch {
	case err != nil:
		return nil, &Refusal{Reason: Malformed, Message: err.Error()}
	case len(data) > s.memory.message:
		return nil, s.tooLarge()
	}
	return data, nil
}
