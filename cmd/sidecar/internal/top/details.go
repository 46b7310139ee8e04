package top

import (
	"math"
	"slices"

	"github.com/poolgauge/poolgauge/collector/live"
)

const labelWidth = 13

// details renders the last 15 minutes of the selected pool.
func (s *state) details(width, height int) []line {
	all := s.pools()
	if len(all) == 0 {
		return []line{clip(line{{dim, "No pool to show: Esc goes back."}}, width)}
	}
	p := all[s.row(all)]
	s.selected = p.ID
	lines := []line{clip(s.head(s.layout(width)), width), clip(rowOf(p, s.layout(width)), width)}
	lines = append(lines, s.about(p, width)[1:]...)
	for i, e := range p.Evidence {
		if i > 0 && i < 4 {
			lines = append(lines, clip(line{{plain, "  " + safe(e)}}, width))
		}
	}
	lines = append(lines, clip(split(p), width))
	lines = append(lines, holders(p, width, max(2, (height-len(lines)-curveLines)/2))...)
	if s.history == nil || s.historyOf != p.ID {
		return append(lines, line{{dim, "loading its history …"}})
	}
	lines = append(lines, s.curves(width)...)
	return append(lines, heat(s.history.Waits, width, height-len(lines))...)
}

// curveLines is the number of lines that curves returns.
const curveLines = 7

// holders renders the uses that have held a slot for the longest time, with their call stacks and
// traces. It returns at most height lines.
func holders(p *live.Pool, width, height int) []line {
	var lines []line
	for _, h := range p.Holders {
		for i, part := range fold("held for "+safe(h.String()), width-4) {
			indent := "  "
			if i > 0 {
				indent = "    "
			}
			lines = append(lines, clip(line{{plain, indent + part}}, width))
		}
	}
	return lines[:min(len(lines), height)]
}

// split renders how the time in use is spent, and quantiles of the wait.
func split(p *live.Pool) line {
	l := line{}
	l.put("on CPU ", p.OnCPU, percent)
	l.put("  waiting for a CPU ", p.RunQueue, percent)
	l.put("  blocked ", p.Blocked, percent)
	l.put("  wait p50 ", p.Wait.P50, duration)
	l.put("  p95 ", p.Wait.P95, duration)
	l.put("  p99 ", p.Wait.P99, duration)
	return l
}

// curves renders the history as sparklines, with the newest and the highest value of each.
func (s *state) curves(width int) []line {
	h := s.history
	var lines []line
	for _, c := range []struct {
		label  string
		values []live.Figure
		bound  []live.Figure // values that the scale must include; may be nil
		write  func(float64) string
		s      style
	}{
		{"used", h.Used, h.Limit, live.Number, good},
		{"waiting", h.Pending, nil, live.Number, warning},
		{"oldest wait", h.OldestWait, nil, duration, warning},
		{"wait p99", h.WaitP99, nil, duration, warning},
		{"use p50", h.UseP50, nil, duration, plain},
		{"rate/s", h.Rate, nil, live.Number, plain},
		{"unserved/s", h.NotServed, nil, live.Number, trouble},
	} {
		top := max(highest(c.values).Or(0), highest(c.bound).Or(0))
		l := line{{plain, cell(labelWidth, false, c.label)}}
		l.add(c.s, "%s", spark(width-labelWidth-20, c.values, top))
		l.add(strong, "%s", cell(9, true, newest(c.values).Text(c.write)))
		l.add(dim, "%s", cell(11, true, "max "+highest(c.values).Text(c.write)))
		lines = append(lines, l)
	}
	return lines
}

// heat renders a heatmap of waits, with time from left to right and longer waits at the top.
func heat(m live.Heatmap, width, height int) []line {
	rows := height - 1
	columns := min(width-labelWidth, len(m.Counts))
	if rows < 2 || columns < 1 || len(m.Bounds) == 0 {
		return nil
	}
	height = min(rows, len(m.Bounds)+1)
	sums := make([][]float64, height) // by row, the shortest waits first
	for r := range sums {
		sums[r] = make([]float64, columns)
	}
	for i, counts := range m.Counts {
		for r, n := range counts {
			if r <= len(m.Bounds) {
				sums[r*height/(len(m.Bounds)+1)][i*columns/len(m.Counts)] += float64(n)
			}
		}
	}
	top := 0.0
	for _, row := range sums {
		top = max(top, slices.Max(row))
	}
	lines := []line{{{dim, "how long requests waited"}}}
	for r := height - 1; r >= 0; r-- {
		last := ((r+1)*(len(m.Bounds)+1)+height-1)/height - 1 // last bucket of the row
		label := "more"
		if last < len(m.Bounds) {
			label = "to " + duration(m.Bounds[last])
		}
		lines = append(lines, line{{plain, cell(labelWidth, false, label)}, {warning, shades(sums[r], top)}})
	}
	return lines
}

// shades renders counts as blocks that are darker for higher counts, on a logarithmic scale up to
// top. A count of 0 is blank.
func shades(counts []float64, top float64) string {
	marks := []rune("░▒▓█")
	text := make([]rune, len(counts))
	for i, n := range counts {
		text[i] = ' '
		if n > 0 {
			text[i] = marks[min(3, int(4*math.Log1p(n)/math.Log1p(top)))]
		}
	}
	return string(text)
}
