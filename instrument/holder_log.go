package instrument

import (
	"context"
	"log/slog"
	"time"
)

// WithHolderLog names a logger for the one line that a pool writes when requests wait for it while
// uses go on far beyond what is usual: which lines of the program hold the slots, since when, and
// of which traces. It is looked for at each collection, and written once: again only if nothing of
// it was seen for ten minutes. The default is [slog.Default]; nil turns it off.
func WithHolderLog(l *slog.Logger) Option {
	return func(s *settings) { s.holderLog, s.noHolderLog = l, l == nil }
}

// holderQuiet is how long nothing was to be said of holders before it is said again. Collections
// may be minutes apart.
const holderQuiet = 10 * time.Minute

// holderWatch is what was seen of the holders of a pool.
type holderWatch struct {
	seen     time.Time // when there was something to say, last
	rejected int64     // requests so far
}

// sees reports whether there is something to say now of holders that was not said yet.
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

// logHolders writes the line. It must be called without a lock: handlers are the program's.
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
		"pool is full, and slots are held far beyond the usual time",
		slog.String(
			"pool",
			r.name,
		),
		slog.String("slots", s.brief()),
		slog.String("unusual", rounded(s.UnusualUse())),
		slog.Any("held", told),
	)
}
