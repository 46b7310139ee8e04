package probe

import (
	"log/slog"
	"sync"
	"time"
)

// hungAfter is how long a run may take before it is logged as hung. Shorter runs are merely slow,
// which the metrics show.
const hungAfter = 10 * time.Second

// health logs one line when a probe starts to fail or hang, and one when it recovers. It is safe
// for concurrent use: the scheduler calls missed, and each run calls finished.
type health struct {
	log *slog.Logger

	mu   sync.Mutex // guards everything below
	bad  bool       // the last log line was about a failure or a hang
	hung bool       // the current run is hung
}

// missed is called each time a run is skipped because the previous run has not returned. running is
// how long the previous run has taken so far.
func (h *health) missed(running time.Duration) {
	if running < hungAfter {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.bad {
		h.log.Warn("probe is hung; skipping runs until the current one returns", "after", running)
	}
	h.bad, h.hung = true, true
}

// finished is called with the result of each run. The end of a hung run is not a recovery, even if
// the run succeeded.
func (h *health) finished(r result) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hung := h.hung
	h.hung = false
	switch {
	case r.err != nil && !h.bad:
		h.log.Warn("probe is failing", "error.type", r.kind, "error", r.err)
		h.bad = true
	case r.err == nil && h.bad && !hung:
		h.log.Info("probe recovered")
		h.bad = false
	}
}
