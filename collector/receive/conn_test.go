package receive

import (
	"log/slog"
	"testing"
	"time"
)

// A third connection joins a listener with room for two, and one of the three is closed.
func TestWhichConnectionMakesRoom(t *testing.T) {
	at := func(seconds int) int64 { return time.Unix(int64(seconds), 0).UnixNano() }
	made := func(born, useful int, accepting int64) *conn {
		c := &conn{born: at(born)}
		if useful > 0 {
			c.useful.Store(at(useful))
		}
		c.accepting.Store(accepting)
		return c
	}
	for name, c := range map[string]struct {
		first, second *conn
		want          string
	}{
		"the oldest that never had a request":       {made(1000, 0, 0), made(1001, 0, 0), "first"},
		"not the newer one":                         {made(1001, 0, 0), made(1000, 0, 0), "second"},
		"the longest without a request":             {made(1000, 1009, 0), made(1001, 1008, 0), "second"},
		"a request is worth ten seconds":            {made(1000, 1000, 0), made(1009, 0, 0), "second"},
		"and no more":                               {made(1000, 1000, 0), made(1011, 0, 0), "first"},
		"never one whose request is being accepted": {made(1000, 0, 1), made(1001, 0, 0), "second"},
		"the new one if the others are busy":        {made(1000, 0, 1), made(1001, 0, 2), "new"},
	} {
		l := &connections{most: 2, log: slog.New(slog.DiscardHandler), open: map[*conn]struct{}{}}
		added := made(1012, 0, 0)
		for _, one := range []*conn{c.first, c.second} {
			if victim := l.join(one); victim != nil {
				t.Errorf("%s: closes one where there is room", name)
			}
		}
		names := map[*conn]string{c.first: "first", c.second: "second", added: "new"}
		if got := names[l.join(added)]; got != c.want || l.count() != 2 {
			t.Errorf("%s: closes %q of %d, want %q of 3", name, got, l.count()+1, c.want)
		}
	}
}

func TestAnsweredConnectionsMakeRoomAgain(t *testing.T) {
	g := newGate(defaultLimits)
	l := &connections{gate: g, most: 1, log: slog.New(slog.DiscardHandler), open: map[*conn]struct{}{}}
	first := &conn{of: l}
	l.join(first)
	answered := first.begin(func(error) {}).complete(1000)
	busy := &conn{of: l}
	if l.join(busy) != busy {
		t.Error("closes a connection whose request is being accepted")
	}
	answered()
	if l.join(&conn{of: l, born: 1}) != first {
		t.Error("does not close a connection whose request was answered")
	}
}
