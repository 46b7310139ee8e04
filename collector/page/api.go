package page

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/collector/live"
)

// shared caches the newest picture, so that it is read once for all clients.
type shared struct {
	live *live.Live

	mu      sync.Mutex   // guards everything below
	picture live.Picture // its memory is reused
	readAt  time.Time
	stale   <-chan struct{} // closed once the picture has changed
}

// maxAge is the maximum time for which a picture is reused. It bounds the delay before changes that
// are due only to the passage of time, such as a pool going silent, become visible.
const maxAge = time.Second

// append appends the newest picture, with the selected pools, to b as JSON. changed is closed once
// the picture has changed.
func (s *shared) append(b []byte, pools live.Selection) (_ []byte, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale == nil || closed(s.stale) || time.Since(s.readAt) >= maxAge {
		s.stale = s.live.Changed() // before reading the picture, so that no change is missed
		s.live.Read(&s.picture)
		s.readAt = time.Now()
	}
	selected := s.picture.Select(pools)
	b, err := selected.AppendJSON(b)
	if err != nil {
		b = append(b, "{}"...) // cannot happen: every value is a finite number
	}
	return b, s.stale
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// selection returns the selection that the query of a request specifies, or an error about an
// invalid parameter.
func selection(query url.Values) (live.Selection, error) {
	s := live.Selection{Filter: query.Get("filter"), Sort: query.Get("sort"), Also: query.Get("also")}
	if s.Sort == "worst" {
		s.Sort = ""
	}
	if s.Sort != "" && live.Orders[s.Sort] == nil {
		names := slices.Sorted(maps.Keys(live.Orders))
		return s, fmt.Errorf("sort=%.40q: expected one of worst, %s", s.Sort, strings.Join(names, ", "))
	}
	for name, field := range map[string]*int{"from": &s.From, "limit": &s.Limit} {
		text := query.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return s, fmt.Errorf("%s=%.40q: expected a whole number", name, text)
		}
		*field = int(n)
	}
	if keep := query.Get("keep"); keep != "" {
		s.Keep = strings.Split(keep, ",")
	}
	return s, nil
}

func (s *Server) picture(w http.ResponseWriter, r *http.Request) {
	pools, err := selection(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	picture, _ := s.shared.append(nil, pools)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(picture) // fails only if the client has disconnected
}

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	h, ok := s.cfg.Live.History(r.PathValue("id"))
	if !ok {
		http.Error(w, "no such pool; /api/v1/picture lists the pool IDs", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(h) // fails only if the client has disconnected
}

// A viewer gets the picture after each change, but at most once per minInterval. Without changes,
// it gets the picture every maxInterval, as a sign that the sidecar is alive.
const (
	minInterval = time.Second
	maxInterval = 5 * time.Second
)

// changes sends the picture as server-sent events: immediately, and after each change.
func (s *Server) changes(w http.ResponseWriter, r *http.Request) {
	pools, err := selection(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case s.viewers <- struct{}{}:
		defer func() { <-s.viewers }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(
			w,
			fmt.Sprintf("too many viewers: at most %d can follow changes; try again later", maxViewers),
			http.StatusServiceUnavailable,
		)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	controller := http.NewResponseController(w)
	var event []byte
	for {
		var changed <-chan struct{}
		event, changed = s.shared.append(append(event[:0], "event: picture\ndata: "...), pools)
		event = append(event, "\n\n"...)
		if controller.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
			return
		}
		if _, err := w.Write(event); err != nil || controller.Flush() != nil {
			return // the viewer has disconnected or is not reading
		}
		if !wait(r.Context().Done(), time.After(minInterval), nil) ||
			!wait(r.Context().Done(), time.After(maxInterval-minInterval), changed) {
			return
		}
	}
}

// wait waits until timer fires or changed is closed. It returns false if done is closed first.
func wait(done <-chan struct{}, timer <-chan time.Time, changed <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-timer:
	case <-changed:
	}
	return true
}
