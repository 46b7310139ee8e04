package summary

import (
	"fmt"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/collector/live"
)

// relay returns the line about the relay: how many items are waiting for the upstream, and how many
// were accepted, sent or lost. The line is empty if there is no upstream.
func relay(p *live.Pipeline) line {
	l := line{label: "relay"}
	if p.Upstream == "" {
		return l
	}
	queued, age, counted := 0.0, 0.0, false
	rates := map[string]float64{}
	var unavailable []string
	for i := range p.Lanes {
		lane := &p.Lanes[i]
		n, ok := lane.Queued.Get()
		queued, counted, age = queued+n, counted || ok, max(age, lane.Oldest.Or(0))
		for name, f := range map[string]live.Figure{
			"accepted": lane.Accepted, "sent": lane.Sent,
			"rejected": lane.Rejected, "dropped": lane.Dropped, "refused": lane.Refused,
		} {
			if v, ok := f.Get(); ok {
				rates[name] += v
			}
		}
		if lane.Available.Or(1) == 0 {
			unavailable = append(unavailable, lane.Name)
		}
	}
	l.add(counted, "queued %s (%s of %s)", items(queued), size(p.QueueUsed.Or(0)), size(p.QueueLimit.Or(0)))
	l.add(age > 0, "oldest %s", time.Duration(age*float64(time.Second)).Round(100*time.Millisecond))
	l.add(p.Durable.Or(1) == 0, "queue storage is failing")
	l.add(len(unavailable) > 0, "the upstream is not accepting %s", strings.Join(unavailable, ", "))
	for _, name := range []string{"accepted", "sent", "rejected", "dropped", "refused"} {
		n, ok := rates[name]
		// The other rates are normally 0, and shown only if they are not.
		expected := name == "accepted" || name == "sent"
		l.add(ok && (expected || n > 0), "%s %s/s", name, live.Number(n))
	}
	return l
}

func items(n float64) string {
	if n == 1 {
		return "1 item"
	}
	return fmt.Sprintf("%.0f items", n)
}
