package summary

import (
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// relay has what waits for the upstream, and what became of points since the collection before. It is empty without a relay.
func (s *Summary) relay() line {
	l := line{label: "relay"}
	v := &s.view
	queued, ok := v.value(catalog.RelayQueuePoints)
	used, _ := v.value(catalog.RelayQueueUsage)
	limit, _ := v.value(catalog.RelayQueueLimit)
	l.add(ok, "queued %s (%s of %s)", points(queued), size(used), size(limit))
	age, waits := v.value(catalog.RelayQueueAge)
	l.add(waits, "oldest %s", time.Duration(age*float64(time.Second)).Round(100*time.Millisecond))
	durable, onDisk := v.value(catalog.RelayQueueDurable)
	l.add(onDisk && durable == 0, "the disk fails")
	available, asked := v.value(catalog.UpstreamAvailable)
	l.add(asked && available == 0, "the upstream does not take points")
	for _, outcome := range []string{"accepted", "sent"} {
		n, ok := v.gained(catalog.RelayPoints, catalog.PointOutcomeKey.String(outcome))
		l.add(ok, "%s %.0f", outcome, n)
	}
	for _, outcome := range []string{"rejected", "dropped", "refused"} { // what should not be is shown when it is
		n, ok := v.gained(catalog.RelayPoints, catalog.PointOutcomeKey.String(outcome))
		l.add(ok && n > 0, "%s %.0f", outcome, n)
	}
	return l
}

func points(n float64) string {
	if n == 1 {
		return "1 point"
	}
	return fmt.Sprintf("%.0f points", n)
}
