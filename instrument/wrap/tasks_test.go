package wrap

import (
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
)

// A function may have ended before its caller has counted it.
func TestATaskThatHasEndedWasThere(t *testing.T) {
	var ran tasks
	ran.end(ran.begin(stamp{instrument.Now(), 1}), instrument.OK)
	var s instrument.Stats
	if n := ran.report(&s, false, instrument.OK); n != 1 || s.Usage[instrument.Used].Or(-1) != 0 || s.Requests[instrument.Acquired].Or(0) != 1 {
		t.Errorf("%d acquired, %d used, want 1 and 0", n, s.Usage[instrument.Used].Or(-1))
	}
}
