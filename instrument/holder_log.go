package instrument

import (
	"context"
	"log/slog"
	"time"
)

// WithHolderLog sets the logger for a warning about slots that are held for unusually long. A pool
// logs it when requests wait and some uses are unusually long; see [Stats.UnusualUse]. The line
// names the holders of the slots: the lines of the program, how long they have held them, and their
// traces. Each collection checks for this. The warning is logged once, and again only if the
// condition was absent for ten minutes. The default is [slog.Default]; nil disables the warning.
func WithHolderLog(l *slog.Logger) Option {
	return func(s *settings) { s.holderLog, s.noHolderLog = l, l == nil }
}

// holderQuiet is how long the condition must have been absent before it is logged again.
// Collections may be minutes apart.
const holderQuiet = 10 * time.Minute

// holderWatch remembers when the holders of a pool were last worth a warning.
type holderWatch struct {
	seen     time.Time // when the condition was last met
	rejected int64     // requests rejected so far
}

// sees reports whether a warning about the holders is due.
func (w *holderWatch) sees(s *Stats, now time.Time) bool {
	rejected := s.Requests[Rejected].Or(0)
	refused := rejected > w.rejected
	w.rejected = rejected
	if len(s.Holders) == 0 || !s.IsFull() || s.Pending.Or(0) == 0 && !refused || s.UseAge.Or(0) < s.UnusualUse() {
		return false
	}
	quiet := now.Sub(w.seen) > holderQuiet
	w.seen = now
	return quiet
}

// logHolders logs the warning. It must be called without a lock held, since the handler belongs to
// the program.
func (r *Registration) logHolders(s *Stats) {
	logger := r.holderLog
	if logger == nil {
		logger = slog.Default()
	}
	told := make([]string, len(s.Holders))
	for i, h := range s.Holders {
		told[i] = h.String()
	}
	logger.LogAttrs(
		context.Background(),
		slog.LevelWarn,
		"pool is full, and slots are held for unusually long",
		slog.String(
			"pool",
			r.name,
		),
		slog.String("slots", s.brief()),
		slog.String("unusual", rounded(s.UnusualUse())),
		slog.Any("held", told),
	)
}
