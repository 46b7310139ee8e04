package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/collector/live"
)

// shared is the picture as a server-sent event, encoded once for all that ask.
type shared struct {
	live *live.Live

	mu      sync.Mutex   // guards what follows
	picture live.Picture // its memory is used again
	event   []byte
	made    time.Time
	stale   <-chan struct{} // closed when there is a newer picture
}

// maxAge is how old an event may be: what causes no change, such as silence, shows within this time.
const maxAge = time.Second

// An event is the picture's JSON between these.
const (
	eventHead = "event: picture\ndata: "
	eventTail = "\n\n"
)

// read returns the newest event, which must not be changed, and a channel that is closed when there
// is a newer one.
func (s *shared) read() (event []byte, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.event != nil && time.Since(s.made) < maxAge {
		select {
		case <-s.stale:
		default:
			return s.event, s.stale
		}
	}
	s.stale = s.live.Changed() // before the picture is read, so that no change is missed
	s.live.Read(&s.picture)
	event = make([]byte, 0, len(s.event)+len(s.event)/8)
	event = append(event, eventHead...)
	event, err := s.picture.AppendJSON(event)
	if err != nil {
		event = append(event, "{}"...) // impossible: every figure is a number
	}
	event = append(event, eventTail...)
	s.event, s.made = event, time.Now()
	return s.event, s.stale
}

func (s *Server) picture(w http.ResponseWriter, _ *http.Request) {
	event, _ := s.shared.read()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(event[len(eventHead) : len(event)-len(eventTail)]) // fails if the client is gone
}

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	h, ok := s.cfg.Live.History(r.PathValue("id"))
	if !ok {
		http.Error(w, "there is no such pool: /api/v1/picture has the ids", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(h) // or the client is gone
}

// The pace of changes: at most one a second, and one every five seconds, so that a viewer sees that
// the sidecar is alive.
const (
	least = time.Second
	most  = 5 * time.Second
)

// changes sends the picture, and again at each change, as server-sent events.
func (s *Server) changes(w http.ResponseWriter, r *http.Request) {
	select {
	case s.viewers <- struct{}{}:
		defer func() { <-s.viewers }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(
			w,
			fmt.Sprintf("at most %d viewers are sent changes; try again later", mostViewers),
			http.StatusServiceUnavailable,
		)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	to := http.NewResponseController(w)
	for {
		event, changed := s.shared.read()
		if to.SetWriteDeadline(time.Now().Add(writeTime)) != nil {
			return
		}
		if _, err := w.Write(event); err != nil || to.Flush() != nil {
			return // the viewer is gone, or does not read
		}
		if !wait(r.Context().Done(), time.After(least), nil) ||
			!wait(r.Context().Done(), time.After(most-least), changed) {
			return
		}
	}
}

// wait waits for the time to be over or for a change. It returns false when done.
func wait(done <-chan struct{}, over <-chan time.Time, changed <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-over:
	case <-changed:
	}
	return true
}
