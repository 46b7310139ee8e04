package measure

import (
	"math/rand/v2"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Span is a wait or a use that has begun. The zero Span is one that did not, or that is not
// measured.
type Span struct {
	at     time.Duration // when it began: exactly, or if its weight is 0 no earlier than
	weight uint32        // of how many short spans it is the one that is timed
	read   uint32        // the last reading of the clock before it, if the pool was overloaded
}

// block is how many spans of an overloaded pool there are for each that is timed.
const block = 32

// Begin begins a wait or a use, at the time that [Meter.Event] returned. If the pool is overloaded,
// one span of each block is timed, at random: a stratified sample.
func (m *Meter) Begin(now time.Duration) Span {
	if m.skip > 0 {
		m.skip--
		return Span{at: m.coarse, read: m.read}
	}
	return m.begin(now) // not here, so that Begin is inlined
}

func (m *Meter) begin(now time.Duration) Span {
	switch {
	case m.over:
		pick := rand.Uint32N(block)
		m.skip, m.rest = m.rest+pick, block-1-pick
		return Span{at: Clock(), weight: block, read: m.read}
	case now == 0:
		return Span{}
	default:
		return Span{at: now, weight: 1}
	}
}

// IsTimed reports whether the clock was read for the span: for every span unless the pool is
// overloaded.
func (s Span) IsTimed() bool { return s.weight > 0 }

// Age returns how long the span has lasted, absent for one that is not measured.
func (s Span) Age(now time.Duration) instrument.Optional[time.Duration] {
	if s.at == 0 {
		return instrument.Optional[time.Duration]{}
	}
	return instrument.Some(max(0, now-s.at))
}

// long is how long a span of an overloaded pool must have lasted to count as long.
const long = 2 * time.Millisecond

// longSince returns when a span began, if it is known to be long. Readings of the clock since it
// began say so: where it was not timed, it began before the first of them.
func (m *Meter) longSince(s Span, now time.Duration) (began time.Duration, ok bool) {
	if s.weight > 0 {
		return s.at, now-s.at >= long
	}
	since := m.read - s.read
	switch {
	case since == 0: // the overload has ended, less than a spread after the last reading
		return s.at, !m.over && now-s.at-readSpread >= long
	case since < readings:
		first := m.readAt[(s.read+1)%readings]
		return s.at, now-first >= long
	default: // the oldest that is known came later than the first
		return s.at, now-m.readAt[(m.read+1)%readings] >= long
	}
}

// isShort reports whether there is nothing to do when the span ends: it is not timed, and not long.
func (m *Meter) isShort(s Span) bool {
	return s.weight == 0 && s.read == m.read && m.over
}

// Durations collects how long spans took, as a histogram. Those that were timed stand for the
// others of their block; long ones stand for themselves (post-stratification: Cochran, chapter 5A).
// The zero Durations is empty. The lock of the pool guards it.
type Durations struct {
	h    *instrument.Histogram // nil before the first
	last time.Duration         // the last that was timed
	due  uint64                // spans for which those in h and the last one stand
}

// End ends a span, at the time that [Meter.Event] returned. N is how many spans have ended, this
// one included. It returns how long the span took, or 0 if that is not known.
func (d *Durations) End(m *Meter, s Span, now time.Duration, n int64) (took time.Duration) {
	if m.isShort(s) {
		return 0
	}
	return d.end(m, s, now, n)
}

func (d *Durations) end(m *Meter, s Span, now time.Duration, n int64) (took time.Duration) {
	switch {
	case s.at == 0:
		return 0
	case s.weight == 1:
		took = max(0, m.exactly(now)-s.at)
		d.sample(took, 1, n)
	case s.read != m.read || !m.over:
		began, isLong := m.longSince(s, m.nearly(now))
		if isLong {
			took = max(0, m.exactly(now)-began)
			d.record(took, s.weight)
		} else if s.weight > 0 {
			took = max(0, m.exactly(now)-s.at)
			d.sample(took, s.weight, n)
		}
	case s.weight > 0:
		took = max(0, m.exactly(now)-s.at)
		d.sample(took, s.weight, n)
	}
	return took
}

// EndTimed is [Durations.End] for a span that is timed in any case: one that ended without success,
// since such spans are few and the others say nothing of them.
func (d *Durations) EndTimed(m *Meter, s Span, now time.Duration) (took time.Duration) {
	if s.at == 0 {
		return 0
	}
	now = m.exactly(now)
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

func (m *Meter) exactly(now time.Duration) time.Duration {
	if now == 0 {
		return Clock()
	}
	return now
}

// sample adds a duration that stands for weight of them. The block may not have ended yet, so it
// counts as spans end.
func (d *Durations) sample(took time.Duration, weight uint32, n int64) {
	d.fill(min(d.due, uint64(n)))
	d.due = min(d.due, uint64(n)) + uint64(weight)
	d.last = took
}

// record adds a duration that stands for itself, but was chosen to stand for weight of them.
func (d *Durations) record(took time.Duration, weight uint32) {
	d.histogram().Record(took)
	d.due += uint64(weight)
}

// fill lets the last duration stand for all up to n.
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

// Read returns the histogram of n durations so far, which the caller owns: nil if there are none.
func (d *Durations) Read(n int64) *instrument.Histogram {
	return d.ReadWithZeros(n, n)
}

// ReadWithZeros is [Durations.Read] for n spans that began, of all requests: the others took no
// time.
func (d *Durations) ReadWithZeros(n, all int64) *instrument.Histogram {
	if all == 0 {
		return nil
	}
	if n > 0 {
		d.fill(uint64(n))
	}
	h := d.h.Clone()
	h.RecordN(0, uint64(max(0, all-n)))
	return h
}
