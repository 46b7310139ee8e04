package summary

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/poolgauge/poolgauge/collector/live"
)

// maxPools is the maximum number of pools shown.
const maxPools = 20

// pools writes a table of the first maxPools pools in all, which are sorted from worst to best. The
// table is at most 80 columns wide.
func (s *Summary) pools(b *strings.Builder, stamp string, all []live.Pool) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(
		b,
		"%8s  %-6s%9s%8s%9s%10s%9s%8s%11s\n",
		stamp,
		"pool",
		"used",
		"waiting",
		"oldest",
		"wait p99",
		"use p50",
		"rate/s",
		"unserved/s",
	)
	for i := range all[:min(len(all), maxPools)] {
		s.pool(b, &all[i])
	}
	if more := len(all) - maxPools; more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

// marks holds a prefix for each level, so that levels can be distinguished without colors.
var marks = map[live.Level]string{live.Trouble: "!!", live.Warning: "! ", live.Good: "  ", live.Silent: "? "}

func (s *Summary) pool(b *strings.Builder, p *live.Pool) {
	name := p.Name
	if p.Level == live.Silent {
		fmt.Fprintf(b, "%s%s%-14s  %s%s\n", s.color(p.Level), marks[p.Level], cut(name, 13), p.Reason, s.resetColor())
		return
	}
	used := p.Used.Text(live.Whole)
	if limit, ok := p.Limit.Get(); ok {
		used += "/" + live.Whole(limit)
	}
	fmt.Fprintf(
		b,
		"%s%s%-14s%9s%8s%9s%10s%9s%8s%11s%s\n",
		s.color(p.Level),
		marks[p.Level],
		cut(name, 13),
		used,
		p.Pending.Text(live.Whole),
		p.OldestWait.Text(
			live.Duration,
		),
		p.Wait.P99.Text(live.Duration),
		use(p).Text(live.Duration),
		p.Rate.Text(live.Number),
		p.NotServed.Text(live.Number),
		s.resetColor(),
	)
	if p.Verdict != "" {
		fmt.Fprintf(b, "    %s\n", cut(p.Verdict, 76))
	}
	if p.LongestWait.Trace != "" && p.Level != live.Good {
		fmt.Fprintf(b, "    longest wait %s\n", p.LongestWait)
	}
	if len(p.Holders) > 0 && p.Level != live.Good {
		fmt.Fprintf(b, "    held for %s\n", cut(p.Holders[0].String(), 67))
	}
}

// use returns the median time of a use, or the mean if the pool does not report how long each use
// lasts.
func use(p *live.Pool) live.Figure {
	if p.Use.P50.IsZero() {
		return p.MeanUse
	}
	return p.Use.P50
}

// colors holds the ANSI escape sequence for each level's color.
var colors = map[live.Level]string{live.Trouble: "\x1b[1;31m", live.Warning: "\x1b[33m", live.Silent: "\x1b[2m"}

func (s *Summary) color(l live.Level) string {
	if !s.colored {
		return ""
	}
	return colors[l]
}

func (s *Summary) resetColor() string {
	if !s.colored {
		return ""
	}
	return "\x1b[0m"
}

// cut makes text, which is untrusted, safe for a terminal and shortens it to n columns.
func cut(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}
