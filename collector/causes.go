package collector

import (
	"log/slog"
	"strings"
	"time"
)

// causes logs why a source cannot read something, each cause once. Errors that differ only in
// figures or in what they quote, such as the value that cannot be or the process that it is of,
// have one cause.
type causes struct {
	log     *slog.Logger
	source  string
	seen    map[string]time.Time // when each was last met
	failing bool                 // the last reading had errors
	healed  bool                 // it was said that there are none any more
}

const (
	// maxCauses bounds what is remembered, and so what is said.
	maxCauses = 100
	// forgetAfter is how long a cause must not have been met to be said again.
	forgetAfter = time.Hour
)

func newCauses(log *slog.Logger, source string) causes {
	return causes{log: log, source: source, seen: map[string]time.Time{}}
}

// report takes the errors and notes of one reading.
func (c *causes) report(now time.Time, errs []error, notes []string) {
	for _, text := range notes {
		if c.isNew(now, text) {
			c.log.Info("source", "source", c.source, "note", text)
		}
	}
	for _, err := range errs {
		text := err.Error()
		if c.isNew(now, cause(text)) {
			c.log.Warn("source cannot read a value", "source", c.source, "error", text)
			c.healed = false
		}
	}
	if len(errs) == 0 && c.failing && !c.healed {
		c.log.Info("source reads everything again", "source", c.source)
		c.healed = true
	}
	c.failing = len(errs) > 0
}

// isNew remembers a cause and reports whether it is to be said.
func (c *causes) isNew(now time.Time, cause string) bool {
	last, known := c.seen[cause]
	if !known && len(c.seen) >= maxCauses {
		for old, at := range c.seen {
			if now.Sub(at) >= forgetAfter {
				delete(c.seen, old)
			}
		}
		if len(c.seen) >= maxCauses {
			return false
		}
	}
	c.seen[cause] = now
	return !known || now.Sub(last) >= forgetAfter
}

// cause is the text of an error without its figures, ids and quotations.
func cause(text string) string {
	var b strings.Builder
	for i, part := range strings.Split(text, `"`) {
		if i%2 == 1 {
			continue // a quotation
		}
		for word := range strings.FieldsFuncSeq(part, func(r rune) bool { return r == ' ' || r == '/' }) {
			if strings.ContainsAny(word, "0123456789") {
				word = "#"
			}
			b.WriteString(word)
			b.WriteByte(' ')
		}
	}
	return b.String()
}
