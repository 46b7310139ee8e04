package summary

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

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
	var age float64
	waits := false
	v.each(catalog.RelayQueueAge, catalog.LaneKey, func(lane attribute.KeyValue) {
		of, _ := v.value(catalog.RelayQueueAge, lane)
		age, waits = max(age, of), true
	})
	l.add(waits, "oldest %s", time.Duration(age*float64(time.Second)).Round(100*time.Millisecond))
	durable, onDisk := v.value(catalog.RelayQueueDurable)
	l.add(onDisk && durable == 0, "queue storage is failing")
	var away []string
	v.each(catalog.UpstreamAvailable, catalog.LaneKey, func(lane attribute.KeyValue) {
		if available, _ := v.value(catalog.UpstreamAvailable, lane); available == 0 {
			away = append(away, lane.Value.AsString())
		}
	})
	slices.Sort(away)
	l.add(len(away) > 0, "the upstream does not accept %s", strings.Join(away, ", "))
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
