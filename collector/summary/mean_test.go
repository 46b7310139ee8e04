package summary

import (
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/collector/live"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// The line of a probe shows the mean of the runs since the last collection, or the previous mean if
// there were none.
func TestSummaryShowsTheMeanOfTheLastRuns(t *testing.T) {
	s := newScreen()
	for i, c := range []struct {
		runs uint64
		sum  float64
		want string
	}{
		{2, 3, "12:00:00  probe cpu   stretch 1.50\n\n"},
		{4, 9, "12:00:10  probe cpu   stretch 3.00\n\n"},
		{4, 9, "12:00:20  probe cpu   stretch 3.00\n\n"},
	} {
		after := at(time.Duration(i) * 10 * time.Second)
		if got := s.block(after.distribution(catalog.ProbeCPUStretch, c.runs, c.sum).collection()); got != c.want {
			t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
		}
	}
}

func TestSummaryOfOnePool(t *testing.T) {
	p := &live.Picture{At: noon, Pools: []live.Pool{{Name: "db", Used: live.Known(3)}}}
	if got := (&Summary{}).block(p); !strings.Contains(got, "db ") {
		t.Errorf("got:\n%s", got)
	}
}
