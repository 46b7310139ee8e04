package instrument

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Holder describes a use that is in progress.
type Holder struct {
	Age time.Duration // how long the use has lasted
	// calls that led to the request for the slot, innermost first; for a task, only its function;
	// nil if unknown
	Calls []Call
	Trace trace.TraceID // trace that the request is part of; zero if unknown
}

// Call is a frame of a call stack: a function and a line in it.
type Call struct {
	Function string // qualified by the package's import path
	File     string // empty if the compiler generated the function
	Line     int    // for a task, the line where its function begins; 0 if File is empty
}

// String formats the call for humans: main.query (query.go:12).
func (c Call) String() string {
	name := c.Function[strings.LastIndexByte(c.Function, '/')+1:]
	if c.File == "" {
		return name
	}
	return fmt.Sprintf("%s (%s:%d)", name, filepath.Base(c.File), c.Line)
}

// String formats the holder for humans:
//
//	3m2s by main.query (query.go:12) < main.handle (handle.go:40), trace 4bf92f3577b34da6a3ce929d0e0e4736
func (h Holder) String() string {
	var b strings.Builder
	b.WriteString(rounded(h.Age))
	for i, c := range h.Calls {
		b.WriteString([]string{" by ", " < "}[min(i, 1)])
		b.WriteString(c.String())
	}
	if h.Trace.IsValid() {
		b.WriteString(", trace " + h.Trace.String())
	}
	return b.String()
}

// Stack formats the calls like a Go stack trace, as the semantic conventions define for
// code.stacktrace.
func (h Holder) Stack() string {
	var b strings.Builder
	for _, c := range h.Calls {
		fmt.Fprintf(&b, "%s(...)\n\t%s:%d\n", c.Function, c.File, c.Line)
	}
	return b.String()
}

const (
	// A use is unusual if it lasts at least a second, and ten times as long as the p99 of the uses
	// that have ended. If no use has ended, the threshold is a minute.
	unusualFactor  = 10
	minUnusual     = time.Second
	defaultUnusual = time.Minute
)

// UnusualUse returns the duration above which a use of the pool is unusually long: 10 times the p99
// of the uses that have ended, but at least a second. If no use has ended, it returns a minute.
func (s *Stats) UnusualUse() time.Duration {
	if s.Use == nil || s.Use.count == 0 {
		return defaultUnusual
	}
	usual := s.Use.Quantile(0.99)
	if usual > time.Duration(1<<62)/unusualFactor {
		return 1 << 62
	}
	return max(minUnusual, unusualFactor*usual)
}

// IsFull reports whether all slots are used or a request is waiting.
func (s *Stats) IsFull() bool {
	limit, limited := s.Limit.Get()
	used, ok := s.Usage[Used].Get()
	return limited && ok && used >= limit || s.Pending.Or(0) > 0
}

// WantsHolders reports whether s should include the [Holder]s, because the pool is full or its
// oldest use is unusual. All other fields of s must be set.
func (s *Stats) WantsHolders() bool {
	age, ok := s.UseAge.Get()
	return ok && (s.IsFull() || age >= minUnusual && age >= s.UnusualUse())
}
