package top

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/poolgauge/poolgauge/collector/live"
)

// state holds everything that the screen shows. It is used only by the goroutine of Run.
type state struct {
	address      string        // the sidecar's address
	every        time.Duration // polling interval
	picture      *live.Picture
	receivedAt   time.Time // when picture arrived
	err          error     // error of the last poll, or nil if it succeeded
	pollingSince time.Time

	show     view
	sort     int  // index in columns, or -1 for the sidecar's order, worst first
	reverse  bool // reverses the order
	paused   bool
	filter   string
	search   string
	typing   *string // the filter or search being typed, or nil
	selected string  // a pool's ID
	offset   int     // number of rows scrolled above the screen

	history   *live.History // history of the pool with the ID historyOf
	historyOf string
}

// view is what the screen shows.
type view int

const (
	table view = iota
	details
	help
)

// column is a column of the table.
type column struct {
	title string
	width int // in terminal columns, including the space before it
	text  func(*live.Pool) string
	value func(*live.Pool) live.Figure // sort key, highest first
}

var columns = []column{
	{"USED", 9, used, (*live.Pool).Fill},
	{
		"WAITING",
		8,
		func(p *live.Pool) string { return p.Pending.Text(live.Whole) },
		func(p *live.Pool) live.Figure { return p.Pending },
	},
	{
		"OLDEST",
		8,
		func(p *live.Pool) string { return p.OldestWait.Text(duration) },
		func(p *live.Pool) live.Figure { return p.OldestWait },
	},
	{
		"WAIT99",
		8,
		func(p *live.Pool) string { return p.Wait.P99.Text(duration) },
		func(p *live.Pool) live.Figure { return p.Wait.P99 },
	},
	{
		"USE50",
		8,
		func(p *live.Pool) string { return p.Use.P50.Text(duration) },
		func(p *live.Pool) live.Figure { return p.Use.P50 },
	},
	{
		"RATE/S",
		7,
		func(p *live.Pool) string { return p.Rate.Text(live.Number) },
		func(p *live.Pool) live.Figure { return p.Rate },
	},
	{
		"UNSERVED",
		9,
		func(p *live.Pool) string { return p.NotServed.Text(live.Number) },
		func(p *live.Pool) live.Figure { return p.NotServed },
	},
}

func used(p *live.Pool) string {
	text := p.Used.Text(live.Number)
	if limit, ok := p.Limit.Get(); ok {
		text += "/" + live.Number(limit)
	}
	return text
}

// pools returns the pools that match the filter, in the order that the user chose.
func (s *state) pools() []*live.Pool {
	if s.picture == nil {
		return nil
	}
	var all []*live.Pool
	for i := range s.picture.Pools {
		if p := &s.picture.Pools[i]; matches(p, s.filter) {
			all = append(all, p)
		}
	}
	if s.sort >= 0 {
		value := columns[s.sort].value
		slices.SortStableFunc(all, func(a, b *live.Pool) int { return cmp.Compare(value(b).Or(-1), value(a).Or(-1)) })
	}
	if s.reverse {
		slices.Reverse(all)
	}
	return all
}

func matches(p *live.Pool, text string) bool {
	for _, in := range []string{p.Name, p.Kind, p.Service, p.Instance, string(p.Level)} {
		if strings.Contains(strings.ToLower(in), strings.ToLower(text)) {
			return true
		}
	}
	return false
}

// row returns the index of the selected pool in the given list, or 0 if the list does not contain
// it.
func (s *state) row(all []*live.Pool) int {
	return max(0, slices.IndexFunc(all, func(p *live.Pool) bool { return p.ID == s.selected }))
}

// move moves the selection down by rows, or up if rows is negative.
func (s *state) move(rows int) {
	all := s.pools()
	if len(all) > 0 {
		s.selected = all[min(max(0, s.row(all)+rows), len(all)-1)].ID
	}
}

// find selects the next pool that matches the search. It starts skip rows below the selected row,
// and wraps around.
func (s *state) find(skip int) {
	all := s.pools()
	at := s.row(all) + skip
	for i := range all {
		if p := all[(at+i)%len(all)]; matches(p, s.search) {
			s.selected = p.ID
			return
		}
	}
}

// handleKey handles a key as htop would. page is the number of rows that PgUp and PgDn move. It
// returns false if the key quits.
func (s *state) handleKey(key string, page int) bool {
	if s.typing != nil {
		s.editText(key)
		return key != "Ctrl-C"
	}
	switch key {
	case "q", "Q", "F10", "Ctrl-C":
		return false
	case "Esc":
		if s.show == table {
			s.filter = ""
		}
		s.show = table
	case "Enter", "Right", "F2":
		s.show = details
	case "Left":
		s.show = table
	case "h", "?", "F1":
		s.show = help
	case "Z", "z":
		s.paused = !s.paused
	case "F4", "\\":
		s.show, s.typing = table, &s.filter
	case "F3", "/":
		s.show, s.typing, s.search = table, &s.search, ""
	case "n":
		s.find(1)
	case "F6", ">", ".":
		s.sort = (s.sort+2)%(len(columns)+1) - 1
	case "<", ",":
		s.sort = (s.sort+1+len(columns))%(len(columns)+1) - 1
	case "I":
		s.reverse = !s.reverse
	default:
		s.handleMoveKey(key, page)
	}
	return true
}

func (s *state) handleMoveKey(key string, page int) {
	switch key {
	case "Up", "k":
		s.move(-1)
	case "Down", "j":
		s.move(1)
	case "PgUp":
		s.move(-page)
	case "PgDn", " ":
		s.move(page)
	case "Home":
		s.move(-1 << 30)
	case "End":
		s.move(1 << 30)
	}
}

// editText handles a key while the user is typing a filter or search.
func (s *state) editText(key string) {
	switch key {
	case "Enter", "Up", "Down":
		s.typing = nil
		return
	case "Esc":
		*s.typing, s.typing = "", nil
		return
	case "Backspace", "Backspace2", "DEL", "Ctrl-H":
		_, size := utf8.DecodeLastRuneInString(*s.typing)
		*s.typing = (*s.typing)[:len(*s.typing)-size]
	case "Ctrl-U":
		*s.typing = ""
	default:
		if utf8.RuneCountInString(key) == 1 && len(*s.typing) < 64 {
			*s.typing += key
		}
	}
	if s.typing == &s.search && s.search != "" {
		s.find(0)
	}
}
