package main

import (
	"fmt"
	"strings"
	"testing"
)

// overLive returns the busiest gateway's rate after the outage, as a multiple of the live rate.
func overLive(t *testing.T, out string) (peak float64) {
	t.Helper()
	_, row, found := strings.Cut(out, "| the same, relative to the live rate | ")
	if _, err := fmt.Sscan(row, &peak); err != nil || !found {
		t.Fatalf("no row with the peak relative to the live rate (%v):\n%s", err, out)
	}
	return peak
}

// A small fleet meets the targets. If sidecars send their backlog as fast as they can, the peak is
// many times the live rate.
func TestFleet(t *testing.T) {
	var out strings.Builder
	if err := run([]string{"-sidecars=2000", "-gateways=4", "-outage=20m"}, &out); err != nil {
		t.Errorf("run returned %v and printed\n%s", err, out.String())
	}
	if peak := overLive(t, out.String()); peak > 10 {
		t.Errorf("the peak is %.1f times the live rate, want at most 10", peak)
	}
	out.Reset()
	// This small fleet may meet the targets by chance, so the result is ignored.
	_ = run([]string{"-sidecars=200", "-gateways=2", "-outage=20m", "-drain-factor=0"}, &out)
	if peak := overLive(t, out.String()); peak < 20 {
		t.Errorf("without a drain factor, the peak is %.1f times the live rate, want at least 20", peak)
	}
}
