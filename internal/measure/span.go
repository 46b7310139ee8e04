package measure

import (
	"math/rand/v2"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Span is a wait or a use that has started. The zero Span has not started or is not measured.
type Span struct {
	at     time.Duration // start: exact if the span is timed, and otherwise a lower bound
	weight uint32        // number of short spans that the span represents; 0 if it is not timed
	read   uint32        // value of Meter.read at the start, if the pool was overloaded then
}

// block is the number of successive spans that form a block. An overloaded pool times one span of
// each block.
const block = 32

// blocks chooses which waits, or which uses, are timed while the pool is overloaded: one random
// span of each block, which makes a stratified sample. If an overload ends within a block, the
// block continues in the next overload, so that each timed span represents a full block.
type blocks struct {
	skip uint32 // number of spans before the next one that is timed
	rest uint32 // number of spans in the same block after that one
}

// begin returns a span that starts now. now is the time that [Meter.Event] returned.
func (b *blocks) begin(m *Meter, now time.Duration) Span {
	switch {
	case !m.overloaded:
		if now == 0 {
			return Span{}
		}
		return Span{at: now, weight: 1}
	case b.skip > 0:
		b.skip--
		return Span{at: m.lastReading, read: m.read}
	default:
		pick := rand.Uint32N(block)
		b.skip, b.rest = b.rest+pick, block-1-pick
		return Span{at: Clock(), weight: block, read: m.read}
	}
}

// IsTimed reports whether the clock was read for the span. It is true for every span unless the
// pool is overloaded.
func (s Span) IsTimed() bool { return s.weight > 0 }

// Age returns how long the span has lasted. The result is absent if the span is not measured.
func (s Span) Age(now time.Duration) instrument.Optional[time.Duration] {
	if s.at == 0 {
		return instrument.Optional[time.Duration]{}
	}
	return instrument.Some(max(0, now-s.at))
}

// minLong is the minimum duration for which a span in an overloaded pool counts as long.
const minLong = 2 * time.Millisecond

// longSince returns the start of s, and whether s is known to be long. If s was not timed, that is
// inferred from the clock readings since its start: s must have started before the first of them.
func (m *Meter) longSince(s Span, now time.Duration) (began time.Duration, ok bool) {
	if s.weight > 0 {
		return s.at, now-s.at >= minLong
	}
	since := m.read - s.read
	switch {
	case since == 0: // the overload ended less than readSpread after the last reading
		return s.at, !m.overloaded && now-s.at-readSpread >= minLong
	case since < readings:
		first := m.readAt[(s.read+1)%readings]
		return s.at, now-first >= minLong
	default: // the oldest known reading is later than the first one after the start
		return s.at, now-m.readAt[(m.read+1)%readings] >= minLong
	}
}

// isShort reports whether the end of s needs no processing, because s is neither timed nor long.
func (m *Meter) isShort(s Span) bool {
	return s.weight == 0 && s.read == m.read && m.overloaded
}

// Durations records how long spans took, as a histogram. A timed span represents all spans in its
// block, except that long spans represent only themselves (post-stratification: Cochran, chapter
// 5A). The zero Durations is empty. The pool's lock guards it.
type Durations struct {
	h    *instrument.Histogram // nil until the first span has ended
	last time.Duration         // duration of the last timed span
	due  uint64                // number of spans that h and last together represent
}

// End records the end of s. now is the time that [Meter.Event] returned. n is the number of spans
// that have ended, including s. End returns the duration of s, or 0 if it is unknown.
func (d *Durations) End(m *Meter, s Span, now time.Duration, n int64) (took time.Duration) {
	switch {
	case s.at == 0:
		return 0
	case s.weight == 1:
		took = max(0, m.exactTime(now)-s.at)
		d.record(took, 1)
	case s.read != m.read || !m.overloaded:
		began, isLong := m.longSince(s, m.recentTime(now))
		if isLong {
			took = max(0, m.exactTime(now)-began)
			d.record(took, s.weight)
		} else if s.weight > 0 {
			took = max(0, m.exactTime(now)-s.at)
			d.sample(took, s.weight, n)
		}
	case s.weight > 0:
		took = max(0, m.exactTime(now)-s.at)
		d.sample(took, s.weight, n)
	}
	return took
}

// endTimed is like [Durations.End], but always times the span. It is for spans that ended without
// success: there are few of them, and other spans must not represent them.
func (d *Durations) endTimed(m *Meter, s Span, now time.Duration) (took time.Duration) {
	if s.at == 0 {
		return 0
	}
	now = m.exactTime(now)
	began, isLong := m.longSince(s, now)
	if !isLong {
		began = s.at
	}
	took = max(0, now-began)
	d.record(took, 1)
	return took
}

// Zero adds a span that took no time.
func (d *Durations) Zero(m *Meter) {
	if !m.Off() {
		d.record(0, 1)
	}
}

// exactTime returns now or, if now is 0, reads the clock.
func (m *Meter) exactTime(now time.Duration) time.Duration {
	if now == 0 {
		return Clock()
	}
	return now
}

// sample adds a duration that represents weight spans. The block may not have ended yet, so the
// duration is counted only as the block's spans end.
func (d *Durations) sample(took time.Duration, weight uint32, n int64) {
	d.fill(min(d.due, uint64(n)))
	d.due = min(d.due, uint64(n)) + uint64(weight)
	d.last = took
}

// record adds a duration that represents only itself, but was selected to represent weight spans.
func (d *Durations) record(took time.Duration, weight uint32) {
	d.histogram().Record(took)
	d.due += uint64(weight)
}

// fill records the last timed duration for further spans until the histogram contains n spans.
func (d *Durations) fill(n uint64) {
	if h := d.histogram(); n > h.Count() {
		h.RecordN(d.last, n-h.Count())
	}
}

func (d *Durations) histogram() *instrument.Histogram {
	if d.h == nil {
		d.h = new(instrument.Histogram)
	}
	return d.h
}

// Read returns the histogram of the first n durations, or nil if n is 0. The caller owns the
// result.
func (d *Durations) Read(n int64) *instrument.Histogram {
	return d.readWithZeros(n, n)
}

// readWithZeros is like [Durations.Read], but adds zeros, for requests that took no time, until the
// histogram contains total durations.
func (d *Durations) readWithZeros(n, total int64) *instrument.Histogram {
	if total == 0 {
		return nil
	}
	if n > 0 {
		d.fill(uint64(n))
	}
	h := d.h.Clone()
	h.RecordN(0, uint64(max(0, total-n)))
	return h
}
