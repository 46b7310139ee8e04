package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/collector/live"
)

// shared is the picture as JSON, made once a change for all that ask.
type shared struct {
	live *live.Live

	mu   sync.Mutex // guards what follows
	text []byte
	made time.Time
	was  <-chan struct{} // closed when text is old
}

// oldest is how old a picture may be: what has no change, such as a silence, shows within this
// time.
const oldest = time.Second

// read returns the picture's JSON, which nobody changes, and a channel that is closed when there is
// a newer one.
func (s *shared) read() (text []byte, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text != nil && time.Since(s.made) < oldest {
		select {
		case <-s.was:
		default:
			return s.text, s.was
		}
	}
	s.was = s.live.Changed() // before it is read, so that no change is missed
	text, err := s.live.Picture().AppendJSON(make([]byte, 0, len(s.text)+len(s.text)/8))
	if err != nil {
		text = []byte("{}") // cannot be: figures are numbers
	}
	s.text, s.made = text, time.Now()
	return s.text, s.was
}

func (s *Server) picture(w http.ResponseWriter, _ *http.Request) {
	text, _ := s.shared.read()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // or the client is gone
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
		http.Error(w, fmt.Sprintf("%d viewers are sent changes: no more", mostViewers), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	to := http.NewResponseController(w)
	for {
		text, changed := s.shared.read()
		event := bytes.Join([][]byte{[]byte("event: picture\ndata: "), text, []byte("\n\n")}, nil)
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

// wait returns when the time is over or something has changed, false when done.
func wait(done <-chan struct{}, over <-chan time.Time, changed <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-over:
	case <-changed:
	}
	return true
}
