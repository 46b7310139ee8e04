package receive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/poolgauge/poolgauge/collector/compress"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// body is a complete request as it was received. While the request is decompressed, converted and
// enriched, at most two forms of it are in memory at the same time.
type body struct {
	data     []byte          // from HTTP
	parts    mem.BufferSlice // from gRPC
	joined   mem.Buffer      // owns data, or is nil
	encoding string          // compression of data
	json     bool
	arrival  *arrival
}

func (r *body) len() int { return len(r.data) + r.parts.Len() }

// release frees the buffers of r and returns their bytes to the gate.
func (r *body) release() {
	r.parts.Free()
	if r.joined != nil {
		r.joined.Free()
	}
	r.data, r.parts, r.joined = nil, nil, nil
	r.arrival.release()
}

// needed returns how many bytes of memory to reserve for processing r, at most limit. If the size
// of r's content is unknown, that is limit.
func (r *body) needed(limit int) int64 {
	encoding := r.encoding
	if len(r.parts) > 0 {
		encoding, _ = compress.Packed(r.parts[0].ReadOnlyData())
	}
	if encoding != compress.None || r.json {
		return int64(limit)
	}
	return int64(min(r.len(), limit))
}

// maxPooled is the maximum size in bytes of a request whose pieces are joined in a pooled buffer.
// For larger requests, the pool's buffers would be much larger than the content.
const maxPooled = 32 << 10

// spare is the spare capacity in bytes of large requests, so that attributes can be added without
// copying the request.
const spare = 4 << 10

// spareFor returns the spare capacity to give a request of up to size bytes.
func spareFor(size int) int {
	if size <= maxPooled {
		return 0
	}
	return spare
}

// join concatenates the pieces of a gRPC message.
func (r *body) join() {
	if r.parts == nil {
		return
	}
	if r.parts.Len() <= maxPooled {
		r.joined = r.parts.MaterializeToBuffer(mem.DefaultBufferPool())
		r.data = r.joined.ReadOnlyData()
	} else {
		r.data = make([]byte, r.parts.Len(), r.parts.Len()+spare)
		r.parts.CopyTo(r.data)
	}
	r.encoding, r.data = compress.Packed(r.data)
	r.parts.Free()
	r.parts = nil
}

// process passes r, a complete request, to Accept.
func (s *Server) process(ctx context.Context, signal otlp.Signal, r *body) (points int64, refusal *Refusal) {
	b, done, refusal := s.prepare(ctx, signal, r)
	if refusal != nil || b.Points == 0 {
		return b.Points, refusal
	}
	defer done()
	if err := s.cfg.Accept(ctx, b); err != nil {
		return b.Points, refusalOf(ctx, err)
	}
	return b.Points, nil
}

// prepare converts r to a batch once enough memory is available. Requests that are large, or become
// large during the conversion, are therefore prepared one after the other. If the batch has points,
// the caller must call done when the batch has been accepted or refused.
func (s *Server) prepare(
	ctx context.Context,
	signal otlp.Signal,
	r *body,
) (b otlp.Batch, done func(), refusal *Refusal) {
	needed := r.needed(s.gate.message)
	err := s.working.Acquire(ctx, needed)
	if err != nil {
		r.release()
		return b, nil, &Refusal{Reason: Canceled, Message: err.Error()}
	}
	defer s.working.Release(needed)
	defer r.release()
	b.Signal = signal
	data, refusal := s.inspect(&b, r)
	if refusal != nil || b.Points == 0 {
		return b, nil, refusal
	}
	// The request waits without the added attributes: the enriched copy is made only once the
	// request can be accepted.
	if done, refusal = s.gate.admit(ctx, signal, len(data)); refusal != nil {
		return b, nil, refusal
	}
	if r.joined != nil || 8*(cap(data)-len(data)) > len(data) {
		data = slices.Clip(data) // its spare capacity belongs to the pool, or is too large to keep
	}
	if b.Data, err = s.cfg.Enrich(signal, data); err != nil {
		done()
		return b, nil, refusalOf(context.Background(), err)
	}
	return b, done, nil
}

// inspect returns the content of r and sets b.Points. It refuses malformed requests and applies the
// rate limit.
func (s *Server) inspect(b *otlp.Batch, r *body) (data []byte, refusal *Refusal) {
	data, refusal = s.content(b.Signal, r)
	if refusal != nil {
		return nil, refusal
	}
	var err error
	if b.Points, err = otlp.Inspect(b.Signal, data); err != nil {
		return nil, &Refusal{Reason: Malformed, Message: err.Error()}
	}
	if b.Points == 0 {
		return data, nil
	}
	if wait := s.rate.admit(time.Now(), b.Points); wait > 0 {
		return nil, &Refusal{
			Reason:     Rate,
			RetryAfter: wait,
			Message:    fmt.Sprintf("rate limit of %d items per second exceeded (--relay-rate)", s.cfg.Rate),
		}
	}
	return data, nil
}

// content returns the content of r, decompressed and in wire format. It releases other forms of it.
func (s *Server) content(signal otlp.Signal, r *body) ([]byte, *Refusal) {
	r.join()
	if r.encoding != compress.None {
		data, err := compress.Unpack(r.encoding, r.data, s.gate.message)
		switch {
		case errors.Is(err, compress.ErrTooLarge):
			return nil, s.tooLarge()
		case err != nil:
			return nil, &Refusal{Reason: Malformed, Message: fmt.Sprintf("cannot decompress %s: %v", r.encoding, err)}
		}
		r.data, r.encoding = data, compress.None
	}
	if !r.json {
		return r.data, nil
	}
	data, err := otlp.FromJSONWithin(signal, r.data, s.gate.message)
	r.data = nil
	switch {
	case errors.Is(err, otlp.ErrTooLarge):
		return nil, s.tooLarge()
	case err != nil:
		return nil, &Refusal{Reason: Malformed, Message: err.Error()}
	}
	return data, nil
}
