package instrument

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Holder is a use of a slot that goes on.
type Holder struct {
	Age time.Duration // how long it has lasted
	// which led to the request for the slot, the innermost first; of a task its function; nil if
	// unknown
	Calls []Call
	Trace trace.TraceID // that the request was part of; zero if unknown
}

// Call is a line of the program.
type Call struct {
	Function string // with the path of its package
	File     string // empty if the compiler made the function
	Line     int    // of a task, where its function begins; 0 if File is empty
}

// String returns the call as a person reads it: main.query (query.go:12).
func (c Call) String() string {
	name := c.Function[strings.LastIndexByte(c.Function, '/')+1:]
	if c.File == "" {
		return name
	}
	return fmt.Sprintf("%s (%s:%d)", name, filepath.Base(c.File), c.Line)
}

// String returns the holder as a person reads it:
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

// Stack returns the calls as the semantic conventions want them in code.stacktrace: as Go prints a
// stack.
func (h Holder) Stack() string {
	var b strings.Builder
	for _, c := range h.Calls {
		fmt.Fprintf(&b, "%s(...)\n\t%s:%d\n", c.Function, c.File, c.Line)
	}
	return b.String()
}

const (
	// A use is unusual if it lasts ten times as long as all but 1 % of those before, but at least a
	// second; where none has ended, from a minute on.
	unusualFactor = 10
	unusualLeast  = time.Second
	unusualFirst  = time.Minute
)

// UnusualUse returns from how long on a use of the pool is far beyond what is usual for it: 10
// times the p99 of the uses that have ended, and at least a second; a minute if none has.
func (s *Stats) UnusualUse() time.Duration {
	if s.Use == nil || s.Use.count == 0 {
		return unusualFirst
	}
	usual := s.Use.Quantile(0.99)
	if usual > time.Duration(1<<62)/unusualFactor {
		return 1 << 62
	}
	return max(unusualLeast, unusualFactor*usual)
}

// IsFull reports whether all slots are used, or a request waits.
func (s *Stats) IsFull() bool {
	limit, limited := s.Limit.Get()
	used, ok := s.Usage[Used].Get()
	return limited && ok && used >= limit || s.Pending.Or(0) > 0
}

// WantsHolders reports whether a pool that knows its [Holder]s is to name them: it is full, or its
// oldest use is unusual. The rest of s must be there.
func (s *Stats) WantsHolders() bool {
	age, ok := s.UseAge.Get()
	return ok && (s.IsFull() || age >= unusualLeast && age >= s.UnusualUse())
}
