package live

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// The thresholds for a pool's level. The alerts in deploy/prometheus cover longer periods and use
// different thresholds.
const (
	longWait  = 1.0 // seconds that the oldest request has waited
	slowWait  = 0.1 // seconds, 99th percentile
	fullShare = 0.9 // share of the limit
)

// level returns the level of p and the reason for that level.
func level(p *Pool) (Level, string) {
	used, pending, oldest := p.Used.Or(0), p.Pending.Or(0), p.OldestWait.Or(0)
	limit, limited := p.Limit.Get()
	full := limited && limit > 0 && used >= fullShare*limit && pending > 0
	lost := p.NotServed.Or(0)
	var reasons []string
	if pending > 0 && (oldest >= longWait || full) {
		text := fmt.Sprintf("%.0f waiting", pending)
		if oldest > 0 {
			text += ", the oldest for " + Duration(oldest)
		}
		reasons = append(reasons, text)
	}
	if lost > 0 {
		reasons = append(reasons, digits(lost)+" requests a second not served")
	}
	switch {
	case lost > 0 || oldest >= longWait:
		return Trouble, strings.Join(reasons, "; ")
	case full:
		return Warning, strings.Join(reasons, "; ")
	case p.Wait.P99.Or(0) >= slowWait:
		return Warning, "one in a hundred waits for " + Duration(p.Wait.P99.Or(0))
	case p.MeanWait.Or(0) >= slowWait:
		return Warning, "requests that wait take " + Duration(p.MeanWait.Or(0)) + " on average"
	}
	return Good, ""
}

func digits(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2g", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// Duration formats seconds for display in a suitable unit, with three significant digits below
// 100 s and in whole seconds above that.
func Duration(seconds float64) string {
	switch {
	case seconds == 0:
		return "0 s"
	case seconds < 0.9995e-3: // higher values are rounded to 1 ms
		return fmt.Sprintf("%.3g µs", seconds*1e6)
	case seconds < 0.9995:
		return fmt.Sprintf("%.3g ms", seconds*1e3)
	case seconds < 100:
		return fmt.Sprintf("%.3g s", seconds)
	}
	const longest = 290 * 365 * 24 * 3600 // about as long as a time.Duration can be
	return time.Duration(min(seconds, longest) * float64(time.Second)).Round(time.Second).String()
}

var severity = map[Level]int{Trouble: 0, Warning: 1, Good: 2, Silent: 3}

// worse compares pools for [slices.SortFunc], to sort them from worst to best.
func worse(a, b *Pool) int {
	fillA, fillB := a.Fill().Or(0), b.Fill().Or(0)
	return cmp.Or(
		cmp.Compare(severity[a.Level], severity[b.Level]),
		cmp.Compare(b.OldestWait.Or(0), a.OldestWait.Or(0)),
		cmp.Compare(b.Wait.P99.Or(0), a.Wait.P99.Or(0)),
		cmp.Compare(fillB, fillA),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID),
	)
}
