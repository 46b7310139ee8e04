package export

import (
	"context"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// parcel is the content of one request: consecutive batches of a flight, or a part of one batch. It
// may be divided into several parcels.
type parcel struct {
	i, j        int // indices of the batches in the flight
	data        [][]byte
	size        int64 // bytes
	points      int64
	parts       *parts // nil for complete batches
	indivisible bool   // known to be indivisible
}

// parts tracks the parts of one batch. The batch is settled together with its last part.
type parts struct {
	left     int
	sent     int64
	rejected map[string]int64 // points by reason
}

// parcelOf returns a parcel of f's batches from i up to but not including j.
func parcelOf(f *queue.Flight, i, j int) *parcel {
	data, points := f.Range(i, j)
	return &parcel{i: i, j: j, data: data, size: f.Size(i, j), points: points}
}

// divide splits p in two: between batches if there are several, otherwise within the batch. If ok
// is false, p cannot be divided, and later calls return false too.
func (p *parcel) divide(f *queue.Flight, s otlp.Signal) (first, second *parcel, ok bool) {
	if p.indivisible {
		return nil, nil, false
	}
	if p.j-p.i > 1 {
		middle := p.middle(f)
		return parcelOf(f, p.i, middle), parcelOf(f, middle, p.j), true
	}
	a, b, ok := otlp.Split(s, p.data[0])
	if !ok {
		p.indivisible = true
		return nil, nil, false
	}
	if p.parts == nil {
		p.parts = &parts{left: 1, rejected: map[string]int64{}}
	}
	p.parts.left++
	first, second = p.part(a), p.part(b)
	first.points, _ = otlp.Inspect(s, a) // cannot fail: the request could be divided
	second.points = p.points - first.points
	return first, second, true
}

// part returns a parcel for data, a part of p. p must be a single batch.
func (p *parcel) part(data []byte) *parcel {
	return &parcel{i: p.i, j: p.j, data: [][]byte{data}, size: int64(len(data)), parts: p.parts}
}

// middle returns the index of the first batch in the second half of p.
func (p *parcel) middle(f *queue.Flight) int {
	for k := p.i + 1; k < p.j-1; k++ {
		if 2*f.Size(p.i, k) >= p.size {
			return k
		}
	}
	return p.j - 1
}

// deliver sends the batches of f until the upstream has accepted or permanently rejected them, or
// until the exporter stops. Batches that are not settled by then return to the queue.
func (s *sender) deliver(f *queue.Flight) {
	defer f.Return()
	todo := []*parcel{parcelOf(f, 0, f.Len())} // in reverse order
	backoff := NewBackoff(s.policy)
	for len(todo) > 0 && s.abort.Err() == nil {
		p := todo[len(todo)-1]
		if p.size > s.state.requestSize() {
			if first, second, ok := p.divide(f, s.signal); ok {
				todo = append(todo[:len(todo)-1], second, first)
				continue
			}
		}
		begun := time.Now()
		result, failure := s.send(p)
		switch {
		case failure == nil:
			s.state.succeeded(p.size, time.Since(begun), result)
			s.settle(f, p, p.points-result.Rejected, result.Rejected, reasonPartial)
			todo = todo[:len(todo)-1]
			backoff = NewBackoff(s.policy)
		case s.abort.Err() != nil: // the exporter is stopping; the failure says nothing about the upstream
		case s.state.failed(failure, p.size, begun, s.isIndivisible(p, failure)):
			todo = s.giveUp(f, todo, failure, backoff)
		default:
			s.wait(backoff.Next(failure.After), failure.After)
		}
	}
}

// isIndivisible reports whether p is known to be indivisible. It checks that only after a failure
// that a smaller request might avoid, and only if p is a single batch.
func (s *sender) isIndivisible(p *parcel, failure *Failure) bool {
	if failure.Kind != Slow && failure.Kind != Large || p.j-p.i > 1 || p.indivisible {
		return p.indivisible
	}
	_, _, ok := otlp.Split(s.signal, p.data[0])
	p.indivisible = !ok
	return p.indivisible
}

// giveUp divides the last parcel of todo if a part of it may be accepted, and rejects it otherwise.
// It returns the parcels that are left to send.
func (s *sender) giveUp(f *queue.Flight, todo []*parcel, failure *Failure, backoff *Backoff) []*parcel {
	p := todo[len(todo)-1]
	todo = todo[:len(todo)-1]
	if (failure.Kind == Invalid || failure.Kind == Split) && p.j-p.i > 1 {
		first, second, _ := p.divide(f, s.signal)
		return append(todo, second, first)
	}
	s.state.reject(failure, p.points)
	s.settle(f, p, 0, p.points, failure.Reason)
	if failure.Kind != Invalid || s.state.tooManyInvalid() {
		s.wait(backoff.Next(failure.After), failure.After)
	}
	return todo
}

// send sends p as one request.
func (s *sender) send(p *parcel) (Result, *Failure) {
	ctx, cancel := context.WithTimeout(s.abort, s.timeout)
	defer cancel()
	s.recovered = s.state.recovery.announced()
	begun := time.Now()
	s.busy.Store(begun.UnixNano())
	defer s.busy.Store(0)
	result, err := s.client.Send(ctx, Request{Signal: s.signal, Points: p.points, Data: p.data})
	took := time.Since(begun)
	if err == nil {
		s.stats.recordDuration(s.lane, took, "")
		result.Rejected = min(max(result.Rejected, 0), p.points)
		return result, nil
	}
	failure := failureOf(err)
	if s.abort.Err() == nil {
		s.stats.recordDuration(s.lane, took, failure.Reason)
	}
	return Result{}, failure
}

// settle records the outcome of p's items. If p is a part of a batch, the batch is settled together
// with its last part.
func (s *sender) settle(f *queue.Flight, p *parcel, sent, rejected int64, reason string) {
	if p.parts == nil {
		s.stats.settle(s.lane, f, p.i, p.j, sent, map[string]int64{reason: rejected})
		return
	}
	p.parts.sent += sent
	p.parts.rejected[reason] += rejected
	if p.parts.left--; p.parts.left == 0 {
		s.stats.settle(s.lane, f, p.i, p.j, p.parts.sent, p.parts.rejected)
	}
}
