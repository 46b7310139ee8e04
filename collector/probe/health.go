package probe

import (
	"log/slog"
	"sync"
)

// health logs when a probe begins to fail or hang, and when it works again, once each. It is safe for concurrent use: a
// probe hangs by the schedule's account and fails by its run's.
type health struct {
	log *slog.Logger

	mu      sync.Mutex // guards everything below
	bad     bool       // the last that was logged
	overdue bool       // the run that goes on has missed a turn
}

// missed is told of each turn that a probe misses because its last run still goes on.
func (h *health) missed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.bad {
		h.log.Warn("probe does not return; its runs are skipped until it does")
	}
	h.bad, h.overdue = true, true
}

// finished is told how each run ended. A run that took longer than its interval does not count as a recovery.
func (h *health) finished(r result) {
	h.mu.Lock()
	defer h.mu.Unlock()
	overdue := h.overdue
	h.overdue = false
	switch {
	case r.err != nil && !h.bad:
		h.log.Warn("probe fails", "error.type", r.kind, "error", r.err)
		h.bad = true
	case r.err == nil && h.bad && !overdue:
		h.log.Info("probe works again")
		h.bad = false
	}
}
