package receive

import (
	"log/slog"
	"testing"
	"time"
)

// When a third connection arrives at a listener with a limit of two, the listener closes one of the
// first two, or the new one.
func TestWhichConnectionIsClosed(t *testing.T) {
	at := func(seconds int) int64 { return time.Unix(int64(seconds), 0).UnixNano() }
	made := func(opened, lastRequest int, accepting int64) *conn {
		c := &conn{opened: at(opened)}
		if lastRequest > 0 {
			c.lastRequest.Store(at(lastRequest))
		}
		c.accepting.Store(accepting)
		return c
	}
	for name, c := range map[string]struct {
		first, second *conn
		want          string
	}{
		"the older one without a request":           {made(1000, 0, 0), made(1001, 0, 0), "first"},
		"the older one, which came second":          {made(1001, 0, 0), made(1000, 0, 0), "second"},
		"the one with the oldest last request":      {made(1000, 1009, 0), made(1001, 1008, 0), "second"},
		"a request counts for ten seconds":          {made(1000, 1000, 0), made(1009, 0, 0), "second"},
		"a request counts for no longer than that":  {made(1000, 1000, 0), made(1011, 0, 0), "first"},
		"never one whose request is being accepted": {made(1000, 0, 1), made(1001, 0, 0), "second"},
		"the new one if the others are busy":        {made(1000, 0, 1), made(1001, 0, 2), "new"},
	} {
		l := &connections{limit: 2, log: slog.New(slog.DiscardHandler), open: map[*conn]struct{}{}}
		added := made(1012, 0, 0)
		for _, one := range []*conn{c.first, c.second} {
			if victim := l.add(one); victim != nil {
				t.Errorf("%s: a connection below the limit was closed", name)
			}
		}
		names := map[*conn]string{c.first: "first", c.second: "second", added: "new"}
		if got := names[l.add(added)]; got != c.want || l.count() != 2 {
			t.Errorf("%s: closed %q of %d connections, want %q of 3", name, got, l.count()+1, c.want)
		}
	}
}

func TestConnectionMayBeClosedOnceItsRequestIsAnswered(t *testing.T) {
	g := newGate(defaultLimits)
	l := &connections{gate: g, limit: 1, log: slog.New(slog.DiscardHandler), open: map[*conn]struct{}{}}
	first := &conn{listener: l}
	l.add(first)
	answered := first.begin(func(error) {}).complete(1000)
	busy := &conn{listener: l}
	if l.add(busy) != busy {
		t.Error("closed a connection whose request is being accepted")
	}
	answered()
	if l.add(&conn{listener: l, opened: 1}) != first {
		t.Error("did not close the connection whose request was answered")
	}
}
