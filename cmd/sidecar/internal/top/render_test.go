package top

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"

	"github.com/poolgauge/poolgauge/collector/live"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// figures returns values as known figures.
func figures(values ...float64) []live.Figure {
	all := make([]live.Figure, len(values))
	for i, v := range values {
		all[i] = live.Known(v)
	}
	return all
}

func picture() *live.Picture {
	k := live.Known
	return &live.Picture{
		At:      noon,
		Service: "sidecar on node-7",
		Pools: []live.Pool{
			{
				ID:      "a",
				Name:    "payments",
				Kind:    "sql",
				Service: "orders",
				Level:   live.Trouble,
				Reason:  "a request has waited for 3.2 s",
				Limit: k(
					8,
				),
				Used:        k(8),
				Pending:     k(40),
				OldestWait:  k(3.2),
				Wait:        live.Quantiles{P50: k(1), P95: k(2), P99: k(3)},
				Use:         live.Quantiles{P50: k(0.021)},
				Rate:        k(380),
				NotServed:   k(1.5),
				OnCPU:       k(0.1),
				Blocked:     k(0.9),
				Verdict:     "downstream slow",
				Evidence:    []string{"use time is 4 times its baseline", "the CPUs are idle"},
				Recommended: k(16),
				Holders: []live.Holder{
					{
						Age:   3.2,
						Calls: []string{"main.query (query.go:12)", "main.serve (main.go:40)"},
						Trace: "4bf92f3577b34da6a3ce929d0e0e4736",
					},
					{Age: 1},
				},
				Spark: live.Spark{Fill: figures(0.1, 0.5, 1)},
			},
			{
				ID:      "b",
				Name:    "thumbnails",
				Kind:    "worker",
				Level:   live.Warning,
				Limit:   k(4),
				Used:    k(4),
				Pending: k(2),
				Wait:    live.Quantiles{P99: k(0.2)},
			},
			{ID: "c", Name: "cache", Kind: "resource", Level: live.Good, Used: k(2), Rate: k(1234567)},
			{ID: "d", Name: "reports", Kind: "worker", Level: live.Silent, Reason: "silent for 40 s"},
		},
		Host: live.Host{
			CPU:         k(0.95),
			MemoryUsed:  k(3 << 30),
			MemoryLimit: k(8 << 30),
			Load:        k(2.5),
			Pressure:    live.Pressure{CPU: k(0.3)},
		},
		Containers: []live.Container{
			{Path: "/pod/x"},
			{Path: "/pod/app", CPU: k(0.5), CPULimit: k(0.5), Throttled: k(0.34)},
		},
		Probes: []live.Probe{
			{Name: "cpu", Stretch: k(1.9)},
			{Name: "tcp", Target: "db:5432", Failed: "connection refused"},
			{Name: "disk", Phases: []live.Phase{{Name: "sync", Seconds: k(0.004)}, {Name: "total", Seconds: k(0.005)}}},
		},
		Pipeline: live.Pipeline{
			Upstream:  "otel:4317",
			QueueUsed: k(2048),
			Lanes:     []live.Lane{{Name: "metrics", Available: k(0), Dropped: k(3)}},
		},
	}
}

func stateOf(p *live.Picture) *state {
	return &state{picture: p, receivedAt: noon, sort: -1, every: 2 * time.Second}
}

// text renders a screen as text.
func text(s *state, width, height int, at time.Time) string {
	var b strings.Builder
	for _, l := range s.render(width, height, at) {
		b.WriteString(l.String() + "\n")
	}
	return b.String()
}

func expect(t *testing.T, screen string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q on the screen:\n%s", want, screen)
		}
	}
}

func TestTableShowsWhichPoolIsInTroubleAndWhy(t *testing.T) {
	screen := text(stateOf(picture()), 80, 24, noon)
	expect(t, screen, "sidecar on node-7", "4 pools, 1 in trouble, 1 to watch",
		"!! payments      ██████      8/8      40    3.2s      3s    21ms    380      1.5\n",
		"!  thumbnails", "?  reports",
		"   cache                       2       –       –       –       –  1.23M        –\n",
		"payments (sql)  of orders  recommended limit 16", "downstream slow: use time is 4 times its baseline",
		"CPU[███████▋]95%", "3G/8G", "throttled 34%", "/pod/app", "tcp db:5432 failed: connection refused", "disk 5ms",
		"to otel:4317  queue 2K", "lost 3 upstream not accepting", "F10Quit")
	expect(t, text(stateOf(picture()), 160, 24, noon), "WHY", "downstream slow", "15 MINUTES")
}

func TestTheNumberOfPoolsDoesNotMoveTheFooter(t *testing.T) {
	footerLine := func(p *live.Picture) int {
		return slices.IndexFunc(strings.Split(text(stateOf(p), 80, 24, noon), "\n"), func(l string) bool {
			return strings.HasPrefix(l, "payments (sql)")
		})
	}
	few, many := picture(), picture()
	few.Pools = few.Pools[:1]
	for i := range 40 {
		many.Pools = append(many.Pools, live.Pool{ID: fmt.Sprint(i), Name: "more", Level: live.Good})
	}
	if a, b := footerLine(few), footerLine(many); a < 0 || a != b {
		t.Errorf("the footer is in line %d with one pool, and in line %d with many", a, b)
	}
}

// Whatever the size and the names are, render fills the screen exactly, and no line is too wide.
func TestScreensOfAllSizes(t *testing.T) {
	hostile := picture()
	for i := range 300 {
		hostile.Pools = append(hostile.Pools, live.Pool{
			ID: fmt.Sprint(
				i,
			),
			Name:       strings.Repeat("池\x1b[2J\u202e\n", 30),
			Kind:       "\x07",
			Service:    strings.Repeat("é", 300),
			Level:      live.Trouble,
			Reason:     strings.Repeat("why ", 90),
			Used:       live.Known(1e15),
			Limit:      live.Known(1e15),
			OldestWait: live.Known(1e9),
		})
	}
	hostile.Host = live.Host{}
	for name, p := range map[string]*live.Picture{"usual": picture(), "hostile": hostile, "no pools": {At: noon}, "none yet": nil} {
		for _, size := range [][2]int{{80, 24}, {20, 5}, {1, 1}, {40, 12}, {300, 100}, {79, 11}} {
			s := stateOf(p)
			for _, key := range []string{"", "End", "Enter", "F1", "Esc", "F3", "池", "Enter", "F4", "zzz", "Enter"} {
				s.handleKey(key, 10)
				if s.show == details {
					s.historyOf, s.history = s.selected, history()
				}
				lines := s.render(size[0], size[1], noon)
				if len(lines) != size[1] {
					t.Errorf("%s, %v, after %q: %d lines, want %d", name, size, key, len(lines), size[1])
				}
				for _, l := range lines {
					if displaywidth.String(l.String()) > size[0] && s.show != help {
						t.Errorf(
							"%s, %v, after %q: a line of %d columns is too wide: %q",
							name,
							size,
							key,
							displaywidth.String(l.String()),
							l,
						)
					}
					if strings.ContainsAny(l.String(), "\x1b\x07\u202e\n") {
						t.Errorf("%s: control characters in %q", name, l)
					}
				}
			}
		}
	}
}

func history() *live.History {
	return &live.History{
		From:       noon,
		Step:       5,
		Used:       figures(1, 2, 8),
		Limit:      figures(8, 8, 8),
		OldestWait: figures(0, 3.2),
		Waits: live.Heatmap{
			Bounds: []float64{0.001, 0.1, 10},
			Counts: [][]int64{{5, 0, 0, 0}, {5, 1000, 0, 0}, {0, 0, 0, 1}},
		},
	}
}

func TestDetailsHaveCurvesAndWaits(t *testing.T) {
	s := stateOf(picture())
	s.show = details
	s.historyOf, s.history = "b", history() // the pool that was selected before
	loading := text(s, 80, 24, noon)
	if expect(t, loading, "loading its history"); strings.Contains(loading, "max 8") {
		t.Errorf("the history of another pool is shown:\n%s", loading)
	}
	s.historyOf = "a"
	s.picture.Pools[0].Holders = nil // so that everything fits in 24 lines
	expect(
		t,
		text(s, 80, 24, noon),
		"on CPU 10%  blocked 90%",
		"the CPUs are idle",
		"▂▃█        8      max 8",
		"▁█     3.2s   max 3.2s",
		"more           ░",
		"to 100ms     ▒█",
	)
}

func TestStalePictureIsMarked(t *testing.T) {
	s := stateOf(picture())
	s.err = errors.New("nothing is listening at 127.0.0.1:4320")
	expect(t, text(s, 80, 24, noon.Add(7*time.Second)), "STALE by 7s: nothing is listening at 127.0.0.1:4320")
	s.err = nil
	expect(t, text(s, 80, 24, noon.Add(9*time.Second)), "STALE by 9s")
	if screen := text(s, 80, 24, noon.Add(4*time.Second)); strings.Contains(screen, "STALE") {
		t.Errorf("a picture that is 4s old is marked as stale:\n%s", screen)
	}
	s.handleKey("Z", 1)
	expect(t, text(s, 80, 24, noon.Add(9*time.Second)), "PAUSED at")
	noPicture := &state{address: "x:1", pollingSince: noon, err: errors.New("nothing is listening at x:1")}
	expect(t, text(noPicture, 80, 24, noon.Add(3*time.Second)), "nothing is listening at x:1; retrying for 3s")
}

func TestLastLineListsTheKeysOfTheView(t *testing.T) {
	for name, c := range map[string]struct {
		show          view
		wants, absent string
	}{
		"the table":   {table, "F3Search F4Filter F6Sort EnterDetails", "EscBack"},
		"the details": {details, "EscBack ↑↓Pool", "F3Search"},
		"the help":    {help, "EscBack ↑↓Pool", "F3Search"},
	} {
		s := stateOf(picture())
		s.show, s.filter = c.show, "pay"
		got := s.keys(80).String()
		if !strings.Contains(got, c.wants) || strings.Contains(got, c.absent) ||
			!strings.Contains(got, "F10Quit  filter: pay") {
			t.Errorf("%s: %q, want %q and not %q", name, got, c.wants, c.absent)
		}
	}
}

func TestStyleOfTheStatus(t *testing.T) {
	for name, c := range map[string]struct {
		state *state
		age   time.Duration
		want  style
	}{
		"no response yet":        {&state{address: "x:1", pollingSince: noon}, 0, dim},
		"only an error":          {&state{pollingSince: noon, err: io.EOF}, 0, trouble},
		"a new picture":          {stateOf(picture()), 0, plain},
		"an old picture":         {stateOf(picture()), time.Minute, trouble},
		"a picture and an error": {&state{picture: picture(), receivedAt: noon, err: io.EOF}, 0, trouble},
		"paused":                 {&state{picture: picture(), receivedAt: noon, paused: true}, time.Minute, warning},
	} {
		if got := c.state.status(noon.Add(c.age)).style; got != c.want {
			t.Errorf("%s: style %d, want %d", name, got, c.want)
		}
	}
}

func TestUnknownValuesAreSortedBelowZero(t *testing.T) {
	zero, unknown := live.Known(0), live.Figure{}
	s := stateOf(&live.Picture{At: noon})
	for _, pending := range []live.Figure{unknown, zero, unknown, zero, live.Known(1)} {
		s.picture.Pools = append(s.picture.Pools, live.Pool{Pending: pending})
	}
	s.sort = slices.IndexFunc(columns, func(c column) bool { return c.title == "WAITING" })
	var got []live.Figure
	for _, p := range s.pools() {
		got = append(got, p.Pending)
	}
	if want := []live.Figure{live.Known(1), zero, zero, unknown, unknown}; !slices.Equal(got, want) {
		t.Errorf("sorted by WAITING: %v, want %v", got, want)
	}
}

func TestKeys(t *testing.T) {
	names := func(s *state) string {
		var all []string
		for _, p := range s.pools() {
			all = append(all, p.Name)
		}
		return strings.Join(all, " ")
	}
	for _, c := range []struct{ keys, selected, pools string }{
		{"", "a", "payments thumbnails cache reports"},
		{"Down Down", "c", ""},
		{"Down Up Up", "a", ""},
		{"End", "d", ""},
		{"PgDn", "c", ""},
		{"End Home j", "b", ""},
		{"I", "d", "reports cache thumbnails payments"},
		{"F6 F6", "a", "payments thumbnails cache reports"},
		{"F6 F6 F6 F6 F6 F6", "c", "cache payments thumbnails reports"},
		{"<", "a", "payments thumbnails cache reports"},
		{"> <", "a", ""},
		{"F4 W o r k Enter", "b", "thumbnails reports"},
		{"F4 x Backspace r e p Enter", "d", "reports"},
		{"F4 r e p Esc", "d", "payments thumbnails cache reports"},
		{"F4 r e p Enter Esc", "d", "payments thumbnails cache reports"},
		{"/ w o r k", "b", "payments thumbnails cache reports"},
		{"/ w o r k Enter n", "d", ""},
		{"/ w o r k Enter n n", "b", ""},
		{"/ a Enter n", "b", ""},
		{"F4 q Enter", "a", ""},
	} {
		s := stateOf(picture())
		text(s, 80, 24, noon)
		for key := range strings.FieldsSeq(c.keys) {
			if !s.handleKey(key, 2) {
				t.Errorf("%q: %s quits", c.keys, key)
			}
			text(s, 80, 24, noon)
		}
		if c.pools == "" {
			c.pools = names(s)
		}
		if s.selected != c.selected && c.keys != "I" && !strings.HasPrefix(c.keys, "F6 F6 F6") || names(s) != c.pools {
			t.Errorf("%q: pool %s of %s is selected, want %s of %s", c.keys, s.selected, names(s), c.selected, c.pools)
		}
	}
	for _, key := range []string{"q", "F10", "Ctrl-C"} {
		if stateOf(picture()).handleKey(key, 2) {
			t.Errorf("%s does not quit", key)
		}
	}
}

func TestTypingAcceptsAtMost64CharactersAndNoOtherKeys(t *testing.T) {
	s := stateOf(picture())
	s.handleKey("F4", 2)
	for range 64 {
		s.handleKey("x", 2)
		s.handleKey("F5", 2)
	}
	s.handleKey("y", 2)
	if want := strings.Repeat("x", 64); *s.typing != want {
		t.Errorf("typed %q, want %q", *s.typing, want)
	}
}

func TestDetailsListHoldersWithTheirCallsAndTraces(t *testing.T) {
	s := stateOf(picture())
	s.show = details
	s.picture.Pools[0].Holders = append(
		s.picture.Pools[0].Holders,
		live.Holder{Age: 0.5, Calls: []string{"main.\x1b[2Jevil"}},
	)
	expect(t, text(s, 80, 40, noon),
		"  held for 3.2 s by main.query (query.go:12) < main.serve (main.go:40), trace\n",
		"    4bf92f3577b34da6a3ce929d0e0e4736\n",
		"  held for 1 s\n",
		"  held for 500 ms by main.\uFFFD[2Jevil\n")
	s.historyOf, s.history = "a", history()
	expect(
		t,
		text(s, 80, 24, noon),
		"held for 3.2 s by main.query",
		"    4bf92f3577b34da6a3ce929d0e0e4736\n",
		"unserved/s",
	)
}
