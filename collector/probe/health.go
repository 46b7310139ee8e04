package probe

import (
	"log/slog"
	"sync"
	"time"
)

// hungAfter is how long a run takes before the log says that it hangs; shorter ones are only slow,
// and seen in the metrics.
const hungAfter = 10 * time.Second

// health logs when a probe begins to fail or hang, and when it works again, once each. It is safe
// for concurrent use: a probe hangs by the schedule's account and fails by its run's.
type health struct {
	log *slog.Logger

	mu   sync.Mutex // guards everything below
	bad  bool       // the last that was logged
	hung bool       // the run that goes on
}

// missed is told of each turn that a probe misses because its last run still goes on, and for how
// long that has been running.
func (h *health) missed(running time.Duration) {
	if running < hungAfter {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.bad {
		h.log.Warn("probe does not return; its runs are skipped until it does", "after", running)
	}
	h.bad, h.hung = true, true
}

// finished is told how each run ended. A run that hung is no recovery, even if it came to a good
// end.
func (h *health) finished(r result) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hung := h.hung
	h.hung = false
	switch {
	case r.err != nil && !h.bad:
		h.log.Warn("probe fails", "error.type", r.kind, "error", r.err)
		h.bad = true
	case r.err == nil && h.bad && !hung:
		h.log.Info("probe works again")
		h.bad = false
	}
}
