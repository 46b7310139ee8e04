package main

import (
	"io"
	"testing"

	"github.com/poolgauge/poolgauge/diagnose"
)

// The bars hold for one program of each fault; many are scored by hand, see docs/benchmarks.md.
func TestVerdictsAreRight(t *testing.T) {
	total, convicted := score{}, 0
	for i, f := range faults {
		s := scoreOf(f, i, 1, 1, "", io.Discard)
		total.windows += s.windows
		total.right += s.right
		total.held += s.held
		for v, n := range s.wrong {
			if f.right[0] == diagnose.OK && v.Convicts() {
				convicted += n
			}
		}
	}
	if convicted > 0 {
		t.Errorf("%d windows of healthy pools were convicted", convicted)
	}
	if right := float64(total.right) / float64(total.windows); right < 0.92 {
		t.Errorf("%.3f of %d windows are right, want 0.92", right, total.windows)
	}
	if held := float64(total.held) / float64(total.windows); held < 0.92 {
		t.Errorf("%.3f of %d windows are right after hysteresis, want 0.92", held, total.windows)
	}
}
