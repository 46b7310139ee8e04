package live

import (
	"encoding/hex"
	"math"
	"strings"
	"unsafe"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Holder is a use in progress, which occupies a slot of its pool. Holders are known only for pools
// that are full or have an unusually long use.
type Holder struct {
	Age float64 `json:"age"` // seconds
	// the calls that led to the use, innermost first, in the form "main.query (query.go:12)"; for a
	// task, the task's function
	Calls []string `json:"calls,omitempty"`
	Trace string   `json:"trace,omitempty"` // trace ID in hexadecimal
}

// String describes h in one line.
func (h Holder) String() string {
	line := Duration(h.Age)
	if len(h.Calls) > 0 {
		line += " by " + strings.Join(h.Calls, " < ")
	}
	if h.Trace != "" {
		line += ", trace " + h.Trace
	}
	return line
}

// examples holds some of a pool's uses in progress and some of its traced waits.
type examples struct {
	holders []Holder // the uses in progress
	size    int64    // size of holders in bytes
	waited  []traced // at most one per series
}

// holders returns the holders that the app attached as exemplars to the pool's oldest-use metric.
func (p *pool) holders() []Holder {
	if p.examples == nil {
		return nil
	}
	return p.examples.holders
}

// size returns the approximate size in bytes of the pool without its series.
func (p *pool) size() int64 {
	if p.examples == nil {
		return poolSize
	}
	return poolSize + examplesSize + p.examples.size + int64(len(p.examples.waited))*tracedSize
}

const (
	maxHolders = 5
	maxCalls   = 8
)

// recordHolders replaces the holders of p with the exemplars of point, a point of the oldest-use
// metric. If there is no room for the new holders, it drops them.
func (l *Live) recordHolders(p *pool, m *otlp.Metric, point *otlp.Point) {
	before := p.size()
	if p.examples != nil && len(p.examples.waited) > 0 {
		p.examples.holders, p.examples.size = nil, 0
	} else {
		p.examples = nil
	}
	l.used -= before - p.size()
	size := int64(0)
	var all []Holder
	point.EachExemplar(m.Kind, &l.work.exemplar, func(e *otlp.Exemplar) {
		// JSON has no NaN or infinity
		if len(all) == maxHolders || !(e.Number >= 0) || math.IsInf(e.Number, 1) {
			return
		}
		h := Holder{Age: e.Number, Trace: hex.EncodeToString(e.Trace)}
		for _, kv := range e.Attributes {
			if key, value := otlp.Attribute(kv); string(key) == string(semconv.CodeStacktraceKey) {
				h.Calls = callsOf(string(value))
			}
		}
		size += int64(len(h.Trace)) + holderSize
		for _, c := range h.Calls {
			size += int64(len(c)) + callSize
		}
		all = append(all, h)
	})
	if len(all) == 0 {
		return
	}
	if held := l.reserveExamples(p, size); held != nil {
		held.holders, held.size = all, size
	}
}

// reserveExamples reserves size bytes for new examples of p, and returns the struct that holds
// them. It returns nil if there is no room.
func (l *Live) reserveExamples(p *pool, size int64) *examples {
	if p.examples == nil {
		size += examplesSize
	}
	if l.used+size > l.cfg.Limit {
		l.refused.Add(1)
		return nil
	}
	l.used += size
	if p.examples == nil {
		p.examples = &examples{}
	}
	return p.examples
}

// The approximate sizes in bytes of an examples struct, a Holder and a call, without their strings.
const (
	examplesSize = int64(unsafe.Sizeof(examples{}))
	holderSize   = 48
	callSize     = 16
)

// callsOf returns the innermost calls in stack, at most maxCalls. stack is a stack trace in Go's
// format, in which each call is two lines: the function and its position.
func callsOf(stack string) (calls []string) {
	for len(calls) < maxCalls {
		line, rest, found := strings.Cut(stack, "\n")
		if !found {
			break
		}
		var position string
		position, stack, _ = strings.Cut(rest, "\n")
		function, _, _ := strings.Cut(line[strings.LastIndexByte(line, '/')+1:], "(...)")
		position = strings.TrimSpace(position)
		if at := position[strings.LastIndexAny(position, `/\`)+1:]; at != "" && at[0] != ':' {
			function += " (" + at + ")"
		}
		calls = append(calls, text([]byte(function)))
	}
	return calls
}
