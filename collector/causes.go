package collector

import (
	"log/slog"
	"strings"
	"time"
)

// causes logs the errors of a source, once per cause. Errors have the same cause if they differ
// only in numbers, IDs or quoted text, such as a process ID or a file name.
type causes struct {
	log       *slog.Logger
	source    string
	seen      map[string]time.Time // when each cause last occurred
	failing   bool                 // the last collection had errors
	recovered bool                 // the recovery has been logged
}

const (
	// maxCauses limits how many causes are remembered, and so bounds memory and log volume.
	maxCauses = 100
	// forgetAfter is how long a cause must be absent before it is logged again.
	forgetAfter = time.Hour
)

func newCauses(log *slog.Logger, source string) causes {
	return causes{log: log, source: source, seen: map[string]time.Time{}}
}

// report logs the errors and notes of one collection, except those that were logged before.
func (c *causes) report(now time.Time, errs []error, notes []string) {
	for _, text := range notes {
		if c.isNew(now, text) {
			c.log.Info("source omits values", "source", c.source, "reason", text)
		}
	}
	for _, err := range errs {
		text := err.Error()
		if c.isNew(now, cause(text)) {
			c.log.Warn("source cannot read a value", "source", c.source, "error", text)
			c.recovered = false
		}
	}
	if len(errs) == 0 && c.failing && !c.recovered {
		c.log.Info("source recovered", "source", c.source)
		c.recovered = true
	}
	c.failing = len(errs) > 0
}

// isNew records that cause has occurred, and reports whether to log it. Once maxCauses causes are
// remembered, new ones are neither recorded nor logged.
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

// cause reduces text, an error message, to its cause: it removes quoted parts, and replaces each
// word that contains a digit with "#".
func cause(text string) string {
	var b strings.Builder
	for i, part := range strings.Split(text, `"`) {
		if i%2 == 1 {
			continue // quoted text
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
