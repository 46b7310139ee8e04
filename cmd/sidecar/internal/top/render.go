package top

import (
	"fmt"
	"time"

	"github.com/clipperhouse/displaywidth"

	"github.com/poolgauge/poolgauge/collector/live"
)

// staleAfter is the time after which a picture is marked as stale, in addition to the polling
// interval.
const staleAfter = 3 * time.Second

// render returns the lines of a screen with the given size.
func (s *state) render(width, height int, now time.Time) []line {
	var lines, above []line
	if s.picture != nil && height >= 12 {
		above = s.machine(width)
	}
	switch {
	case s.show == help:
		lines = helpLines()
	case s.picture == nil:
		lines = append(lines, s.title(width, now))
	default:
		lines = append([]line{s.title(width, now)}, above...)
		if s.show == details {
			lines = append(lines, s.details(width, height-len(lines)-1)...)
		} else {
			lines = append(lines, s.table(width, height-len(lines)-1)...)
		}
	}
	for len(lines) < height-1 {
		lines = append(lines, nil)
	}
	return append(lines[:max(0, height-1)], s.keys(width))
}

func (s *state) title(width int, now time.Time) line {
	status := s.status(now)
	if status.style == trouble || s.picture == nil {
		return clip(line{{strong, "poolgauge  "}, status}, width)
	}
	counts := map[live.Level]int{}
	for i := range s.picture.Pools {
		counts[s.picture.Pools[i].Level]++
	}
	text := fmt.Sprintf(
		" %d pools, %d in trouble, %d to watch",
		len(s.picture.Pools),
		counts[live.Trouble],
		counts[live.Warning],
	)
	status.text = cell(width-len("poolgauge  ")-len(text), false, status.text)
	return clip(line{{strong, "poolgauge  "}, status, {plain, text}}, width)
}

// status returns the sidecar's name and the picture's time, or the reason why there is no picture
// or no newer one.
func (s *state) status(now time.Time) span {
	age := now.Sub(s.receivedAt).Round(time.Second)
	switch {
	case s.picture == nil && s.err != nil:
		elapsed := now.Sub(s.pollingSince).Round(time.Second)
		return span{trouble, fmt.Sprintf("%s; retrying for %v", safe(s.err.Error()), elapsed)}
	case s.picture == nil:
		return span{dim, "connecting to " + s.address + " …"}
	case s.paused:
		return span{warning, "PAUSED at " + s.picture.At.Local().Format(time.TimeOnly) + ": Z resumes"}
	case s.err != nil:
		return span{trouble, fmt.Sprintf("STALE by %v: %s", age, safe(s.err.Error()))}
	case age > staleAfter+s.every:
		return span{trouble, fmt.Sprintf("STALE by %v", age)}
	}
	return span{plain, safe(s.picture.Service) + "  " + s.picture.At.Local().Format(time.TimeOnly)}
}

// machine renders the host, the most throttled container, the probes and the pipeline.
func (s *state) machine(width int) []line {
	h := s.picture.Host
	const meter = 8
	l := line{}
	l.add(dim, "host  ")
	l.meter("CPU", meter, h.CPU, percent(h.CPU.Or(0)))
	l.meter("  mem", meter, h.MemoryUsed.Over(h.MemoryLimit), bytes(h.MemoryUsed.Or(0))+"/"+bytes(h.MemoryLimit.Or(0)))
	l.put("  load ", h.Load, live.Number)
	l.put("  stall cpu ", h.Pressure.CPU, percent)
	l.put(" io ", h.Pressure.IO, percent)
	l.put(" mem ", h.Pressure.Memory, percent)
	l.put("  steal ", h.Steal, percent)
	all := []line{l}
	if c := s.worst(); c != nil {
		l := line{}
		l.add(dim, "cgrp  ")
		l.put("CPU ", c.CPU, live.Number)
		l.put(" of ", c.CPULimit, live.Number)
		if v := c.Throttled.Or(0); v > 0.1 {
			l.add(trouble, "  throttled %s", percent(v))
		} else {
			l.put("  throttled ", c.Throttled, percent)
		}
		l.put("  mem ", c.Memory, bytes)
		l.put("/", c.MemoryLimit, bytes)
		l.put("  OOM kills ", c.OOMKills, live.Whole)
		l.add(dim, "  %s", safe(c.Path))
		all = append(all, l)
	}
	all = append(all, s.probes(), s.pipeline())
	for i := range all {
		all[i] = clip(all[i], width)
	}
	return append(all, nil)
}

// worst returns the most throttled container. Ties go to the one that uses the most CPU.
func (s *state) worst() *live.Container {
	var worst *live.Container
	for i := range s.picture.Containers {
		c := &s.picture.Containers[i]
		if worst == nil || c.Throttled.Or(0) > worst.Throttled.Or(0) ||
			c.Throttled.Or(0) == worst.Throttled.Or(0) && c.CPU.Or(0) > worst.CPU.Or(0) {
			worst = c
		}
	}
	return worst
}

func (s *state) probes() line {
	l := line{}
	l.add(dim, "probes")
	for _, p := range s.picture.Probes {
		name := p.Name
		if p.Target != "" {
			name += " " + p.Target
		}
		switch {
		case p.Failed != "":
			l.add(trouble, " %s failed: %s ", safe(name), safe(p.Failed))
		case len(p.Phases) > 0:
			l.add(plain, " %s %s ", safe(name), longest(p.Phases).Text(duration))
		default:
			l.add(plain, " %s", safe(name))
			l.put(" stretch ", p.Stretch, live.Number)
			l.put(" parallelism ", p.Parallelism, live.Number)
			l.add(plain, " ")
		}
	}
	return l
}

// longest returns the duration of the longest phase, which is the total if the phases include it.
func longest(phases []live.Phase) live.Figure {
	all := make([]live.Figure, len(phases))
	for i, p := range phases {
		all[i] = p.Seconds
	}
	return highest(all)
}

func (s *state) pipeline() line {
	p := s.picture.Pipeline
	l := line{}
	l.add(dim, "sends ")
	if p.Upstream == "" {
		l.add(plain, "to no upstream")
	} else {
		l.add(plain, "to %s", safe(p.Upstream))
	}
	l.put("  queue ", p.QueueUsed, bytes)
	l.put("/", p.QueueLimit, bytes)
	for _, lane := range p.Lanes {
		l.add(plain, "  %s", safe(lane.Name))
		l.put(" ", lane.Sent, live.Number)
		l.put("/s, queued ", lane.Queued, live.Number)
		if v := lane.Dropped.Or(0) + lane.Rejected.Or(0); v > 0 {
			l.add(trouble, " lost %s", live.Number(v))
		}
		if v, ok := lane.Available.Get(); ok && v == 0 {
			l.add(trouble, " upstream not accepting")
		}
	}
	return l
}

// put adds label and f, formatted by write, unless f is unknown.
func (l *line) put(label string, f live.Figure, write func(float64) string) {
	if v, ok := f.Get(); ok {
		l.add(plain, "%s%s", label, write(v))
	}
}

// meter adds a bar like htop's, unless share is unknown.
func (l *line) meter(label string, columns int, share live.Figure, text string) {
	v, ok := share.Get()
	if !ok {
		return
	}
	s := good
	if v > 0.9 {
		s = trouble
	} else if v > 0.7 {
		s = warning
	}
	l.add(plain, "%s[", label)
	l.add(s, "%s", gauge(columns, v))
	l.add(plain, "]%s", text)
}

// clip truncates l to width columns.
func clip(l line, width int) line {
	var out line
	for _, s := range l {
		columns := displaywidth.String(s.text)
		if columns > width {
			s.text, columns = cell(width, false, s.text), width
		}
		if s.text != "" {
			out = append(out, s)
		}
		width -= columns
	}
	return out
}

func (s *state) keys(width int) line {
	if s.typing != nil {
		what := "Search: "
		if s.typing == &s.filter {
			what = "Filter: "
		}
		return line{{bar, cell(width, false, what+*s.typing+"_   Enter done  Esc clear")}}
	}
	text := "F1Help F3Search F4Filter F6Sort EnterDetails ZPause F10Quit"
	if s.show != table {
		text = "EscBack ↑↓Pool ZPause F10Quit"
	}
	if s.filter != "" {
		text += "  filter: " + s.filter
	}
	return line{{bar, cell(width, false, text)}}
}

func helpLines() []line {
	var lines []line
	for _, text := range []string{
		"The pools of a sidecar: which is in trouble, and why.",
		"",
		"  ↑ ↓ PgUp PgDn Home End    select a pool (or k j)",
		"  Enter →                   its last 15 minutes, its holders and its waits",
		"  Esc ←                     back to all pools",
		"  F3 /                      search; n finds the next",
		"  F4 \\                      show only pools that match a text",
		"  F6 > <                    sort by the next or previous column, worst first",
		"  I                         reverse the order",
		"  Z                         pause and resume",
		"  F10 q Ctrl-C              quit",
		"",
		"  USED      slots used, and limit   WAITING   requests waiting now",
		"  OLDEST    longest wait now        WAIT99    99th percentile of waits",
		"  USE50     median use of a slot    RATE/S    requests acquired per second",
		"  UNSERVED  requests rejected, canceled or timed out per second",
		"",
		"  !! callers are not served, or one has waited for a second",
		"  !  full with callers waiting, one in a hundred waits for 100 ms, or it leaks or fails",
		"  ?  silent: it has sent nothing for three of its intervals",
		"  –  unknown",
	} {
		lines = append(lines, line{{plain, text}})
	}
	return lines
}
