package live

import (
	"encoding/hex"
	"math"
	"slices"
	"unsafe"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Waited is the wait of a request that was part of a trace.
type Waited struct {
	Wait  Figure `json:"wait,omitzero"`
	Trace string `json:"trace,omitempty"` // trace ID in hexadecimal
}

// String returns the wait and the trace ID as text.
func (w Waited) String() string { return w.Wait.Text(Duration) + ", trace " + w.Trace }

// traced is the longest wait with a trace ID among the exemplars of a series' last point.
type traced struct {
	of    *series
	wait  float64 // seconds; negative: none
	trace [16]byte
}

const tracedSize = int64(unsafe.Sizeof(traced{}))

// recordLongestWait records the longest wait with a trace ID among the exemplars of p, a point of
// s. If there is no room for it, it is dropped.
func (l *Live) recordLongestWait(s *series, m *otlp.Metric, p *otlp.Point) {
	longest := traced{of: s, wait: -1}
	p.EachExemplar(m.Kind, &l.work.exemplar, func(e *otlp.Exemplar) {
		// JSON has no infinity
		if len(e.Trace) > 0 && e.Number >= 0 && e.Number > longest.wait && !math.IsInf(e.Number, 1) {
			longest.wait = e.Number
			copy(longest.trace[:], e.Trace)
		}
	})
	if held := s.pool.examples; held != nil {
		if at := slices.IndexFunc(held.waited, func(w traced) bool { return w.of == s }); at >= 0 {
			held.waited[at] = longest
			return
		}
	}
	if longest.wait < 0 {
		return
	}
	if held := l.reserveExamples(s.pool, tracedSize); held != nil {
		held.waited = append(held.waited, longest)
	}
}

// longestWait returns the longest recorded wait of a traced request, whatever its outcome.
func (p *pool) longestWait() Waited {
	if p.examples == nil {
		return Waited{}
	}
	longest := traced{wait: -1}
	for _, w := range p.examples.waited {
		if w.wait > longest.wait {
			longest = w
		}
	}
	if longest.wait < 0 {
		return Waited{}
	}
	return Waited{Wait: Known(longest.wait), Trace: hex.EncodeToString(longest.trace[:])}
}
