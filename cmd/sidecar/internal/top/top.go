// Package top shows the pools of a running sidecar in a terminal, as htop shows processes.
package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gdamore/tcell/v3"
	"github.com/gdamore/tcell/v3/color"

	"github.com/poolgauge/poolgauge/collector/live"
)

// Print fetches the picture once and writes the screen to w as text. It is for output that is not a
// terminal.
func Print(ctx context.Context, w io.Writer, c *Client) error {
	p, err := c.Picture(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	s := &state{address: c.String(), picture: p, receivedAt: now, sort: -1}
	const width = 120
	lines := append([]line{s.title(width, now)}, s.machine(width)...)
	lines = append(lines, s.head(s.layout(width)))
	for i := range p.Pools {
		lines = append(lines, rowOf(&p.Pools[i], s.layout(width)))
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, strings.TrimRight(l.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// response is the result of one poll of the sidecar.
type response struct {
	picture *live.Picture
	history *live.History
	id      string // ID of the pool that history belongs to
	err     error
}

// Run polls the picture from c at the interval every and shows it on screen, until ctx is done or
// the user quits. It returns an error if the terminal fails.
func Run(ctx context.Context, screen tcell.Screen, c *Client, every time.Duration) error {
	if err := screen.Init(); err != nil {
		return fmt.Errorf("cannot initialize the terminal: %w", err)
	}
	defer screen.Fini()
	for from, to := range fallbacks {
		screen.RegisterRuneFallback(from, to)
	}
	ctx, cancel := context.WithCancel(ctx)
	ids, responses := make(chan string, 1), make(chan response, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		poll(ctx, c, every, ids, responses)
	}()
	defer func() { cancel(); <-done }()

	s := &state{address: c.String(), every: every, sort: -1, pollingSince: time.Now()}
	return loop(ctx, screen, s, ids, responses)
}

// loop handles events and responses, and redraws the screen after each of them, until ctx is done
// or the user quits.
func loop(ctx context.Context, screen tcell.Screen, s *state, ids chan string, responses <-chan response) error {
	clock := time.NewTicker(time.Second) // redraw, so that a stale picture is marked
	defer clock.Stop()
	for {
		draw(screen, s)
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		case r := <-responses:
			s.update(r)
		case e, ok := <-screen.EventQ():
			if !ok {
				return nil
			}
			if quit, err := s.handleEvent(screen, e); quit {
				return err
			}
			s.requestHistory(ids)
		}
	}
}

// requestHistory sends the ID of the pool whose details are shown, or "", to ids. It replaces an ID
// that has not been received yet.
func (s *state) requestHistory(ids chan string) {
	want := ""
	if s.show == details {
		want = s.selected
	}
	if want != s.historyOf || want == "" {
		s.historyOf, s.history = want, nil
	}
	select {
	case <-ids:
	default:
	}
	ids <- want
}

// poll fetches the picture at the interval every and, unless the last ID received from ids is "",
// also the history of the pool with that ID. When the ID of another pool is received, poll fetches
// both immediately.
func poll(ctx context.Context, c *Client, every time.Duration, ids <-chan string, responses chan<- response) {
	defer c.Close()
	id := ""
	timer := time.NewTicker(every)
	defer timer.Stop()
	for {
		var r response
		if r.picture, r.err = c.Picture(ctx); r.err == nil && id != "" {
			r.id = id
			r.history, r.err = c.History(ctx, id)
		}
		select {
		case responses <- r:
		case <-ctx.Done():
			return
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
				again = true
			case want := <-ids:
				again = want != "" && want != id
				id = want
			}
		}
	}
}

// update stores what r contains, unless the screen is paused.
func (s *state) update(r response) {
	if s.paused {
		return
	}
	if s.err = r.err; r.picture != nil {
		s.picture, s.receivedAt = r.picture, time.Now()
	}
	if r.history != nil && r.id == s.historyOf && r.err == nil {
		s.history = r.history
	}
}

var errGone = errors.New("the terminal is gone")

// handleEvent handles e, a key or another terminal event. quit is true if the program should exit.
func (s *state) handleEvent(screen tcell.Screen, e tcell.Event) (quit bool, err error) {
	switch e := e.(type) {
	case *tcell.EventResize:
		screen.Sync()
	case *tcell.EventError:
		return true, errGone
	case *tcell.EventKey:
		if e.Key() == tcell.KeyCtrlL {
			screen.Sync()
			return false, nil
		}
		_, height := screen.Size()
		return !s.handleKey(nameOf(e), max(1, height/2)), nil
	}
	return false, nil
}

func nameOf(e *tcell.EventKey) string {
	if e.Key() == tcell.KeyRune {
		return e.Str()
	}
	return tcell.KeyNames[e.Key()]
}

func draw(screen tcell.Screen, s *state) {
	width, height := screen.Size()
	screen.Clear()
	for y, l := range s.render(width, height, time.Now()) {
		x := 0
		for _, part := range l {
			appearance := appearances[part.style&^selected].Reverse(part.style == bar || part.style&selected != 0)
			for text := part.text; text != "" && x < width; {
				var columns int
				text, columns = screen.Put(x, y, text, appearance)
				if columns == 0 {
					break
				}
				x += columns
			}
		}
	}
	screen.Show() // writes only what has changed
}

var appearances = map[style]tcell.Style{
	plain:   tcell.StyleDefault,
	strong:  tcell.StyleDefault.Bold(true),
	dim:     tcell.StyleDefault.Dim(true),
	good:    tcell.StyleDefault.Foreground(color.Green),
	warning: tcell.StyleDefault.Foreground(color.Yellow),
	trouble: tcell.StyleDefault.Foreground(color.Red).Bold(true),
	bar:     tcell.StyleDefault,
}

// fallbacks holds replacements for characters that a terminal without Unicode cannot show.
var fallbacks = map[rune]string{
	'▏': " ",
	'▎': " ",
	'▍': " ",
	'▌': "=",
	'▋': "=",
	'▊': "=",
	'▉': "#",
	'█': "#",
	'▁': "_",
	'▂': ".",
	'▃': "-",
	'▄': "=",
	'▅': "+",
	'▆': "*",
	'▇': "%",
	'░': ".",
	'▒': ":",
	'▓': "+",
	'–': "-",
	'…': ".",
	'µ': "u",
	'▽': "v",
	'△': "^",
	'↑': "^",
	'↓': "v",
	'→': ">",
	'←': "<",
}
