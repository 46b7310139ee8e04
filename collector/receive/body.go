package receive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/poolgauge/poolgauge/collector/compress"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// body is a complete request as it was received. At most two forms of it are in memory while it is
// decompressed, converted and enriched.
type body struct {
	data     []byte          // in HTTP
	parts    mem.BufferSlice // in gRPC
	joined   mem.Buffer      // whose content data is, or nil
	encoding string          // of data
	json     bool
	arrival  *arrival
}

func (r *body) len() int { return len(r.data) + r.parts.Len() }

// release frees the memory of r.
func (r *body) release() {
	r.parts.Free()
	if r.joined != nil {
		r.joined.Free()
	}
	r.data, r.parts, r.joined = nil, nil, nil
	r.arrival.release()
}

// share is how much of the memory that all requests have to be worked on r needs: what it becomes,
// and all of it if that cannot be known.
func (r *body) share(all int) int64 {
	encoding := r.encoding
	if len(r.parts) > 0 {
		encoding, _ = compress.Packed(r.parts[0].ReadOnlyData())
	}
	if encoding != compress.None || r.json {
		return int64(all)
	}
	return int64(min(r.len(), all))
}

// mostPooled is the largest request, in bytes, whose pieces are joined in memory that is used again.
// Above it the pool's buffers are much larger than what they hold.
const mostPooled = 32 << 10

// join makes one piece of what gRPC received in several.
func (r *body) join() {
	if r.parts == nil {
		return
	}
	if r.parts.Len() <= mostPooled {
		r.joined = r.parts.MaterializeToBuffer(mem.DefaultBufferPool())
		r.data = r.joined.ReadOnlyData()
	} else {
		r.data = r.parts.Materialize()
	}
	r.encoding, r.data = compress.Packed(r.data)
	r.parts.Free()
	r.parts = nil
}

// take passes a complete request to Accept.
func (s *Server) take(ctx context.Context, signal otlp.Signal, r *body) (points int64, refusal *Refusal) {
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

// prepare makes a batch of a request, when there is memory for it: many requests that are large, or
// become large, are prepared one after the other. The caller must call done when the batch is
// accepted.
func (s *Server) prepare(
	ctx context.Context,
	signal otlp.Signal,
	r *body,
) (b otlp.Batch, done func(), refusal *Refusal) {
	share := r.share(s.gate.message)
	err := s.working.Acquire(ctx, share)
	if err != nil {
		r.release()
		return b, nil, &Refusal{Reason: Canceled, Message: err.Error()}
	}
	defer s.working.Release(share)
	defer r.release()
	b.Signal = signal
	data, refusal := s.inspect(&b, r)
	if refusal != nil || b.Points == 0 {
		return b, nil, refusal
	}
	// It waits as it was received: the copy with more attributes is made when it can be accepted.
	if done, refusal = s.gate.accepting(ctx, signal, len(data)); refusal != nil {
		return b, nil, refusal
	}
	if b.Data, err = s.cfg.Enrich(signal, data); err != nil {
		done()
		return b, nil, refusalOf(context.Background(), err)
	}
	return b, done, nil
}

// inspect returns the content of a request, whose points it notes in b.
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
	if wait := s.rate.take(time.Now(), b.Points); wait > 0 {
		return nil, &Refusal{
			Reason:     Rate,
			RetryAfter: wait,
			Message:    fmt.Sprintf("more than %d points a second", s.cfg.Rate),
		}
	}
	return data, nil
}

// content returns the content of r, decompressed and in wire form. Its earlier form is released.
func (s *Server) content(signal otlp.Signal, r *body) ([]byte, *Refusal) {
	r.join()
	if r.encoding != compress.None {
		data, err := compress.Unpack(r.encoding, r.data, s.gate.message)
		switch {
		case errors.Is(err, compress.ErrTooLarge):
			return nil, s.tooLarge()
		case err != nil:
			return nil, &Refusal{Reason: Malformed, Message: r.encoding + ": " + err.Error()}
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
