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
	s := &state{from: c.String(), picture: p, got: now, sort: -1}
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

// answer is a response of the sidecar.
type answer struct {
	picture *live.Picture
	history *live.History
	id      string // ID of the pool whose history this is
	err     error
}

// Run polls the picture from c at the given interval, and shows it on screen, until ctx is done or
// the user quits. It returns an error if the terminal is gone.
func Run(ctx context.Context, screen tcell.Screen, c *Client, every time.Duration) error {
	if err := screen.Init(); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	defer screen.Fini()
	for from, to := range fallbacks {
		screen.RegisterRuneFallback(from, to)
	}
	ctx, cancel := context.WithCancel(ctx)
	questions, answers := make(chan string, 1), make(chan answer, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ask(ctx, c, every, questions, answers)
	}()
	defer func() { cancel(); <-ended }()

	return loop(ctx, screen, &state{from: c.String(), every: every, sort: -1, asked: time.Now()}, questions, answers)
}

func loop(ctx context.Context, screen tcell.Screen, s *state, questions chan string, answers <-chan answer) error {
	clock := time.NewTicker(time.Second) // to redraw, so that a stale picture is marked
	defer clock.Stop()
	for {
		draw(screen, s)
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		case a := <-answers:
			s.take(a)
		case e, ok := <-screen.EventQ():
			if !ok {
				return nil
			}
			if goOn, err := s.event(screen, e); !goOn {
				return err
			}
			s.request(questions)
		}
	}
}

// request asks for the history of the pool whose details are shown. Only the newest request counts.
func (s *state) request(questions chan string) {
	want := ""
	if s.show == details {
		want = s.selected
	}
	if want != s.historyOf || want == "" {
		s.historyOf, s.history = want, nil
	}
	select {
	case <-questions:
	default:
	}
	questions <- want
}

// ask polls the picture at the given interval. If the last ID received from questions is not empty,
// ask also polls the history of the pool with that ID.
func ask(ctx context.Context, c *Client, every time.Duration, questions <-chan string, answers chan<- answer) {
	defer c.Close()
	id := ""
	timer := time.NewTicker(every)
	defer timer.Stop()
	for {
		var a answer
		if a.picture, a.err = c.Picture(ctx); a.err == nil && id != "" {
			a.id = id
			a.history, a.err = c.History(ctx, id)
		}
		select {
		case answers <- a:
		case <-ctx.Done():
			return
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
				again = true
			case want := <-questions:
				again = want != "" && want != id
				id = want
			}
		}
	}
}

// take shows the answer a, unless the screen is paused.
func (s *state) take(a answer) {
	if s.paused {
		return
	}
	if s.err = a.err; a.picture != nil {
		s.picture, s.got = a.picture, time.Now()
	}
	if a.history != nil && a.id == s.historyOf && a.err == nil {
		s.history = a.history
	}
}

var errGone = errors.New("the terminal is gone")

// event handles e, a key or another terminal event. goOn is false if e quits.
func (s *state) event(screen tcell.Screen, e tcell.Event) (goOn bool, err error) {
	switch e := e.(type) {
	case *tcell.EventResize:
		screen.Sync()
	case *tcell.EventError:
		return false, errGone
	case *tcell.EventKey:
		if e.Key() == tcell.KeyCtrlL {
			screen.Sync()
			return true, nil
		}
		_, height := screen.Size()
		return s.pressed(nameOf(e), max(1, height/2)), nil
	}
	return true, nil
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
			look := looks[part.style&^selected].Reverse(part.style == bar || part.style&selected != 0)
			for text := part.text; text != "" && x < width; {
				var columns int
				text, columns = screen.Put(x, y, text, look)
				if columns == 0 {
					break
				}
				x += columns
			}
		}
	}
	screen.Show() // sends only what has changed
}

var looks = map[style]tcell.Style{
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
