package top

import (
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/clipperhouse/displaywidth"

	"github.com/poolgauge/poolgauge/collector/live"
)

// style is the role of a piece of text. The terminal determines what it looks like.
type style int

const (
	plain style = iota
	strong
	dim
	good
	warning
	trouble
	bar // a line across the screen: the table's head, or the list of keys

	selected style = 1 << 8 // added to the styles of the selected row
)

// span is a piece of text in one style.
type span struct {
	style style
	text  string
}

// line is a line of the screen: its spans from left to right.
type line []span

func (l *line) add(s style, format string, args ...any) {
	*l = append(*l, span{s, fmt.Sprintf(format, args...)})
}

// String returns the text without its styles.
func (l line) String() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return b.String()
}

// safe makes untrusted text safe for a terminal. It replaces control characters and characters that
// change the direction of text.
func safe(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// cell pads or truncates text so that it is exactly columns wide. If right is set, the text is
// right-aligned, with at least one space before it.
func cell(columns int, right bool, text string) string {
	if columns <= 0 {
		return ""
	}
	room := columns
	if right {
		room--
	}
	text = displaywidth.TruncateString(text, room, "…")
	space := strings.Repeat(" ", max(0, columns-displaywidth.String(text)))
	if right {
		return space + text
	}
	return text + space
}

// gauge draws a bar that is exactly columns wide. It is filled according to share, from 0 to 1, in
// steps of an eighth of a column.
func gauge(columns int, share float64) string {
	const full = 8
	eighths := int(math.Round(min(1, max(0, share)) * float64(columns*full)))
	text := strings.Repeat("█", eighths/full)
	if part := eighths % full; part > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[part-1])
	}
	return cell(columns, false, text)
}

// spark draws a sparkline that is columns wide, with the newest value at the right. The scale goes
// from 0 to maximum. Unknown values are blank; 0 is drawn as the lowest mark.
func spark(columns int, values []live.Figure, maximum float64) string {
	marks := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, f := range fit(columns, values) {
		v, ok := f.Get()
		switch {
		case !ok:
			b.WriteByte(' ')
		case maximum <= 0:
			b.WriteRune(marks[0])
		default:
			b.WriteRune(marks[min(len(marks)-1, int(max(0, v)/maximum*float64(len(marks))))])
		}
	}
	return b.String()
}

// fit reduces values to one per column: the highest of the values that the column covers. If there
// are fewer values than columns, the first columns are empty.
func fit(columns int, values []live.Figure) []live.Figure {
	out := make([]live.Figure, max(0, columns))
	if len(values) < columns {
		copy(out[columns-len(values):], values)
		return out
	}
	for i := range out {
		out[i] = highest(values[i*len(values)/columns : (i+1)*len(values)/columns])
	}
	return out
}

// highest returns the highest known value, or an unknown value if there is none.
func highest(values []live.Figure) live.Figure {
	var best live.Figure
	for _, f := range values {
		if v, ok := f.Get(); ok && v >= best.Or(math.Inf(-1)) {
			best = f
		}
	}
	return best
}

// newest returns the last known value, or an unknown value if there is none.
func newest(values []live.Figure) live.Figure {
	for i := len(values) - 1; i >= 0; i-- {
		if !values[i].IsZero() {
			return values[i]
		}
	}
	return live.Figure{}
}

// duration formats a number of seconds in at most seven columns.
func duration(v float64) string {
	if v == 0 {
		return "0"
	}
	return strings.ReplaceAll(live.Duration(v), " ", "")
}

func percent(v float64) string { return fmt.Sprintf("%.0f%%", 100*v) }

// bytes formats a size in at most six columns.
func bytes(v float64) string {
	const units = "BKMGTPE"
	i := 0
	for ; v >= 999.5 && i < len(units)-1; i++ {
		v /= 1024
	}
	if i == 0 || v >= 99.5 {
		return fmt.Sprintf("%.0f%c", v, units[i])
	}
	return fmt.Sprintf("%.2g%c", v, units[i])
}

// fold breaks text at spaces into lines. A line is wider than columns only if a single word is.
func fold(text string, columns int) []string {
	var lines []string
	current := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case current == "":
			current = word
		case displaywidth.String(current)+1+displaywidth.String(word) > columns:
			lines, current = append(lines, current), word
		default:
			current += " " + word
		}
	}
	if current != "" {
		lines = append(lines, current)
	}
	return lines
}
