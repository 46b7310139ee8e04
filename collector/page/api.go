package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/collector/live"
)

// shared holds the picture as a server-sent event, which is encoded once for all clients.
type shared struct {
	live *live.Live

	mu      sync.Mutex   // guards everything below
	picture live.Picture // its memory is reused
	event   []byte
	made    time.Time
	stale   <-chan struct{} // closed when there is a newer picture
}

// maxAge is the maximum time for which an event is reused. It bounds the delay until effects of
// passing time become visible, such as a pool that falls silent.
const maxAge = time.Second

// An event consists of eventHead, the picture as JSON, and eventTail.
const (
	eventHead = "event: picture\ndata: "
	eventTail = "\n\n"
)

// read returns the newest event, which must not be modified, and a channel that is closed when
// there is a newer one.
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
	s.stale = s.live.Changed() // before reading the picture, so that no change is missed
	s.live.Read(&s.picture)
	event = make([]byte, 0, len(s.event)+len(s.event)/8)
	event = append(event, eventHead...)
	event, err := s.picture.AppendJSON(event)
	if err != nil {
		event = append(event, "{}"...) // cannot happen: every value is a finite number
	}
	event = append(event, eventTail...)
	s.event, s.made = event, time.Now()
	return s.event, s.stale
}

func (s *Server) picture(w http.ResponseWriter, _ *http.Request) {
	event, _ := s.shared.read()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(event[len(eventHead) : len(event)-len(eventTail)]) // fails only if the client has disconnected
}

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	h, ok := s.cfg.Live.History(r.PathValue("id"))
	if !ok {
		http.Error(w, "no such pool; /api/v1/picture lists the IDs of pools", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(h) // fails only if the client has disconnected
}

// The picture is sent when it changes, but at most once a second, and otherwise every five seconds,
// to show the viewer that the sidecar is alive.
const (
	least = time.Second
	most  = 5 * time.Second
)

// changes sends the picture as server-sent events: immediately, and after each change.
func (s *Server) changes(w http.ResponseWriter, r *http.Request) {
	select {
	case s.viewers <- struct{}{}:
		defer func() { <-s.viewers }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(
			w,
			fmt.Sprintf("too many viewers: at most %d can follow changes; try again later", mostViewers),
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
			return // the viewer has disconnected or is not reading
		}
		if !wait(r.Context().Done(), time.After(least), nil) ||
			!wait(r.Context().Done(), time.After(most-least), changed) {
			return
		}
	}
}

// wait waits until over fires or changed is closed. If done is closed first, wait returns false.
func wait(done <-chan struct{}, over <-chan time.Time, changed <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-over:
	case <-changed:
	}
	return true
}
