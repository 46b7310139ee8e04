package main

import (
	"strings"
	"testing"
)

// A small fleet keeps the bars, and one that sends its backlog as fast as it can does not.
func TestFleet(t *testing.T) {
	var out strings.Builder
	if err := run([]string{"-sidecars=2000", "-gateways=4", "-outage=20m"}, &out); err != nil {
		t.Errorf("%v:\n%s", err, out.String())
	}
	if err := run([]string{"-sidecars=200", "-gateways=2", "-outage=20m", "-drain-factor=0"}, &out); err == nil {
		t.Errorf("without a bound:\n%s", out.String())
	}
}
