package instrument

import (
	"slices"
	"strings"
	"testing"
)

func TestObserveRefusesAPoolWithoutStats(t *testing.T) {
	_, err := Observe("nothing", "test", nil)
	if err == nil || !strings.Contains(err.Error(), `"nothing": stats is nil`) {
		t.Errorf("error %v, want one that says so", err)
	}
	observe(t, "nothing", limitOf(1)) // the name is free
}

func TestTheNilOptionChangesNothing(t *testing.T) {
	observe(t, "plain", limitOf(1), nil)
	if !TimingOf(nil, WithExactTiming()).Exact {
		t.Error("the option after it is lost")
	}
	if got := points(t); len(got) != 1 {
		t.Errorf("%d points, want 1", len(got))
	}
}

// A closed reader must not yield points that the MeterProvider also reports.
func TestAClosedReaderYieldsNothing(t *testing.T) {
	reader := OpenReader()
	closed := observe(t, "closed", limitOf(1))
	observe(t, "open", limitOf(1))
	closed.Close()
	reader.Close()
	reader.Close()
	if got := slices.Collect(reader.Points()); len(got) != 0 {
		t.Errorf("there is %v", got)
	}
}
