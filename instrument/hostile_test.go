package instrument

import (
	"slices"
	"strings"
	"testing"
)

func TestObserveRejectsNilStats(t *testing.T) {
	_, err := Observe("nothing", "test", nil)
	if err == nil || !strings.Contains(err.Error(), `"nothing": stats is nil`) {
		t.Errorf(`Observe with nil stats: error %v, want one that contains "stats is nil"`, err)
	}
	observe(t, "nothing", limitOf(1)) // the name is available
}

func TestNilOptionIsIgnored(t *testing.T) {
	observe(t, "plain", limitOf(1), nil)
	if !TimingOf(nil, WithExactTiming()).Exact {
		t.Error("the option after a nil option was ignored")
	}
	if got := points(t); len(got) != 1 {
		t.Errorf("got %d points, want 1", len(got))
	}
}

// A closed Reader must not yield points that the MeterProvider also reports.
func TestClosedReaderYieldsNothing(t *testing.T) {
	reader := OpenReader()
	closed := observe(t, "closed", limitOf(1))
	observe(t, "open", limitOf(1))
	closed.Close()
	reader.Close()
	reader.Close()
	if got := slices.Collect(reader.Points()); len(got) != 0 {
		t.Errorf("a closed Reader yielded %v", got)
	}
}
