package relay

import (
	"context"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// Push queues rm, a collection of the sidecar's own metrics. It never blocks: it waits neither for
// room in the queue nor for the disk.
func (r *Relay) Push(rm *metricdata.ResourceMetrics) {
	b, err := otlp.Encode(rm)
	if err == nil && b.Points > 0 {
		err = r.queue.Put(context.Background(), queue.Own, b)
	}
	if err != nil {
		r.log.Warn("dropped a batch of the sidecar's own metrics", "error", err)
	}
}
