package instrument

import (
	"context"
	"log/slog"
	"time"
)

// WithHolderLog sets the logger for a warning about slots that are held unusually long. The warning
// is logged at a collection if the pool is full, requests are waiting or have been rejected since
// the previous collection, and the oldest use is unusually long; see [Stats.UnusualUse]. It names
// the holders of the slots: their lines of code, how long each has held its slot, and their traces.
// It is logged again only after the condition has been absent for ten minutes. The default is
// [slog.Default]; nil disables the warning.
func WithHolderLog(l *slog.Logger) Option {
	return func(s *settings) { s.holderLog, s.noHolderLog = l, l == nil }
}

// holderQuiet is how long the condition must have been absent before the warning is logged again.
// It is long because collections may be minutes apart.
const holderQuiet = 10 * time.Minute

// holderWatch remembers when the condition for a warning about a pool's holders was last met.
type holderWatch struct {
	seen     time.Time // when the condition was last met
	rejected int64     // total number of rejected requests at the last collection
}

// isDue reports whether to log a warning about the holders in s, the Stats of a collection. It must
// be called once per collection.
func (w *holderWatch) isDue(s *Stats, now time.Time) bool {
	rejected := s.Requests[Rejected].Or(0)
	newlyRejected := rejected > w.rejected
	w.rejected = rejected
	if len(s.Holders) == 0 || !s.IsFull() || s.Pending.Or(0) == 0 && !newlyRejected || s.UseAge.Or(0) < s.UnusualUse() {
		return false
	}
	quiet := now.Sub(w.seen) > holderQuiet
	w.seen = now
	return quiet
}

// logHolders logs the warning. The caller must not hold a lock, since the program's log handler may
// call anything.
func (r *Registration) logHolders(s *Stats) {
	logger := r.holderLog
	if logger == nil {
		logger = slog.Default()
	}
	holders := make([]string, len(s.Holders))
	for i, h := range s.Holders {
		holders[i] = h.String()
	}
	logger.LogAttrs(
		context.Background(),
		slog.LevelWarn,
		"pool is full, and slots have been held unusually long",
		slog.String(
			"pool",
			r.name,
		),
		slog.String("slots", s.brief()),
		slog.String("threshold", rounded(s.UnusualUse())),
		slog.Any("holders", holders),
	)
}
