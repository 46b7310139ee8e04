package top

import (
	"github.com/clipperhouse/displaywidth"

	"github.com/poolgauge/poolgauge/collector/live"
)

// A row of the table consists of a mark, the name, a bar, the columns and, if there is room, a
// sparkline and the reason.
const (
	markWidth  = 3
	barWidth   = 7
	minName    = 12
	maxName    = 36
	sparkWidth = 20
	footer     = 3 // number of lines about the selected pool
)

var (
	marks  = map[live.Level]string{live.Trouble: "!! ", live.Warning: "!  ", live.Good: "   ", live.Silent: "?  "}
	styles = map[live.Level]style{live.Trouble: trouble, live.Warning: warning, live.Good: plain, live.Silent: dim}
)

// layout holds the widths that depend on the screen and the pool names.
type layout struct{ name, spark, reason int }

func (s *state) layout(width int) layout {
	rest := width - markWidth - barWidth
	for _, c := range columns {
		rest -= c.width
	}
	l := layout{name: minName}
	for i := range s.picture.Pools {
		l.name = max(l.name, displaywidth.String(safe(s.picture.Pools[i].Name))+1)
	}
	l.name = min(l.name, max(minName, rest), maxName)
	if rest -= l.name; rest < sparkWidth { // room for neither the sparkline nor the reason
		l.name += max(0, rest)
		return l
	}
	if rest > 2*sparkWidth {
		l.spark = sparkWidth
		rest -= sparkWidth + 1
	}
	l.reason = rest - 1
	return l
}

func (s *state) table(width, height int) []line {
	l := s.layout(width)
	all := s.pools()
	lines := []line{clip(s.head(l), width)}
	if len(all) == 0 {
		text := "No pool has sent metrics yet: point the app's OTLP exporter at the sidecar (port 4317 or 4318)."
		if s.filter != "" {
			text = "No pool matches " + safe(s.filter) + ": Esc shows all."
		}
		for _, part := range fold(text, width) {
			lines = append(lines, line{{dim, part}})
		}
		return lines
	}
	rows := max(1, height-1-footer)
	if height < footer+3 {
		rows = max(1, height-1)
	}
	at := s.row(all)
	s.selected = all[at].ID
	s.offset = min(max(0, s.offset, at-rows+1), at, max(0, len(all)-rows))
	for i := s.offset; i < min(len(all), s.offset+rows); i++ {
		row := clip(rowOf(all[i], l), width)
		for j := range row {
			if i == at {
				row[j].style |= selected
			}
		}
		lines = append(lines, row)
	}
	for len(lines) < rows+1 {
		lines = append(lines, nil)
	}
	return append(lines, s.about(all[at], width)...)
}

func (s *state) head(l layout) line {
	head := line{{bar, cell(markWidth+l.name, false, "   POOL") + cell(barWidth, false, " FILL")}}
	for i, c := range columns {
		title := c.title
		st := bar
		if i == s.sort {
			title, st = "▽"+title, strong
			if s.reverse {
				title = "△" + c.title
			}
		}
		head.add(st, "%s", cell(c.width, true, title))
	}
	if l.spark > 0 {
		head.add(bar, " %s", cell(l.spark, false, "15 MINUTES"))
	}
	if l.reason > 0 {
		head.add(bar, " %s", cell(l.reason, false, "WHY"))
	}
	return head
}

// rowOf renders the row of a pool.
func rowOf(p *live.Pool, l layout) line {
	st := styles[p.Level]
	out := line{{st, marks[p.Level] + cell(l.name, false, safe(p.Name))}}
	if fill, ok := p.Fill().Get(); ok {
		out.add(st, " %s", gauge(barWidth-1, fill))
	} else {
		out.add(st, "%s", cell(barWidth, false, ""))
	}
	for _, c := range columns {
		out.add(st, "%s", cell(c.width, true, c.text(p)))
	}
	if l.spark > 0 {
		out.add(st, " %s", spark(l.spark, p.Spark.Fill, max(1, highest(p.Spark.Fill).Or(0))))
	}
	if l.reason > 0 {
		out.add(st, " %s", cell(l.reason, false, why(p)))
	}
	return out
}

// why returns the verdict or, if there is none, the reason for the level.
func why(p *live.Pool) string {
	if p.Verdict != "" {
		return safe(p.Verdict)
	}
	return safe(p.Reason)
}

// about renders the footer, which describes p, the selected pool.
func (s *state) about(p *live.Pool, width int) []line {
	name := line{}
	name.add(strong, "%s", safe(p.Name))
	name.add(plain, " (%s)", safe(p.Kind))
	if p.Service != "" {
		name.add(dim, "  of %s", safe(p.Service))
	}
	if p.Instance != "" {
		name.add(dim, " %s", safe(p.Instance))
	}
	name.put("  recommended limit ", p.Recommended, live.Whole)
	reason := line{}
	reason.add(styles[p.Level], "%s", why(p))
	if p.Verdict != "" && len(p.Evidence) > 0 {
		reason.add(plain, ": %s", safe(p.Evidence[0]))
	}
	return []line{nil, clip(name, width), clip(reason, width)}
}
