package harness

import (
	"fmt"
	"time"
)

// Figure identifies one of the metrics in a Sample.
type Figure int

// The metrics that a Bar can limit.
const (
	CPU Figure = iota
	Wall
	Max
	Bytes
	Count
)

func (f Figure) String() string {
	return [...]string{"CPU", "wall", "max", "B", "count"}[f]
}

func (f Figure) of(s Sample) float64 {
	return [...]float64{s.CPU, s.Wall, s.Max, s.Bytes, s.Count}[f]
}

// Bar is a target for our subject, the first of a case: its value must be at most Ratio times that
// of the subject named Peer, plus Plus. If Peer is empty, the value must be at most Most.
type Bar struct {
	Peer  string
	Of    Figure
	Ratio float64
	Plus  time.Duration
	Most  float64
}

func (b Bar) String() string {
	s := fmt.Sprintf("%.2f", b.Ratio)
	switch {
	case b.Peer == "" && (b.Of == Bytes || b.Of == Count):
		s = fmt.Sprintf("%.0f", b.Most)
	case b.Peer == "":
		s = time.Duration(b.Most).String()
	case b.Plus != 0:
		s = fmt.Sprintf("%.2f + %v", b.Ratio, b.Plus)
	}
	if b.Of == CPU {
		return s
	}
	return b.Of.String() + " " + s
}

// met reports whether our subject met target b.
func (r Result) met(b Bar) bool {
	if b.Peer == "" {
		return r.spreadOf(0, b.Of).Median <= b.Most
	}
	return r.against(r.Case.index(b.Peer), b.Of, float64(b.Plus)).Median <= b.Ratio
}

// Missed returns a line for each target that our subject did not meet.
func (r Result) Missed() []string {
	var missed []string
	for _, b := range r.Case.Bars {
		if r.met(b) {
			continue
		}
		ours := r.spreadOf(0, b.Of).Median
		if b.Peer == "" {
			missed = append(missed, fmt.Sprintf("%s: %.0f, the target is %v", r.Case.Name, ours, b))
			continue
		}
		i := r.Case.index(b.Peer)
		missed = append(missed, fmt.Sprintf("%s: %.2f of %s (%.1f against %.1f), the target is %v",
			r.Case.Name, r.against(i, b.Of, 0).Median, b.Peer, ours, r.spreadOf(i, b.Of).Median, b))
	}
	if r.Case.NoAlloc && !r.noAlloc() {
		missed = append(
			missed,
			fmt.Sprintf("%s: %.0f B per operation, the target is 0", r.Case.Name, r.spreadOf(0, Bytes).Median),
		)
	}
	return missed
}

func (r Result) noAlloc() bool { return r.spreadOf(0, Bytes).Median < 1 }
