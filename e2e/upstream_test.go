package e2e

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// upstream is a fake upstream that keeps the batches that it accepts.
type upstream struct {
	mu      sync.Mutex // guards the fields below
	batches [][]otlptest.Point
	arrived []time.Time   // arrival times of the batches
	changed chan struct{} // closed and replaced when a batch is added
}

func newUpstream() *upstream {
	return &upstream{changed: make(chan struct{})}
}

func (u *upstream) take(r *otlptest.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	// The relay joins queued batches, and splits a batch that timed out in two.
	for _, collection := range r.GetResourceMetrics() {
		points := slices.Collect(
			otlptest.Points(&otlptest.Request{ResourceMetrics: []*metricspb.ResourceMetrics{collection}}),
		)
		if last := len(u.batches) - 1; last >= 0 && isSecondHalf(u.batches[last], points) {
			u.batches[last] = append(u.batches[last], points...)
			continue
		}
		u.batches = append(u.batches, points)
		u.arrived = append(u.arrived, time.Now())
	}
	close(u.changed)
	u.changed = make(chan struct{})
}

// isSecondHalf reports whether points are the second half of the collection that begins with first:
// they have the same time, and lack the sidecar's own account.
func isSecondHalf(first, points []otlptest.Point) bool {
	return points[0].Time.Sub(first[0].Time).Abs() < interval/2 && len(find(points, "poolgauge.relay.points")) == 0
}

// await waits until done returns true for the batches, and returns them.
func (u *upstream) await(t *testing.T, what string, done func(batches [][]otlptest.Point) bool) [][]otlptest.Point {
	t.Helper()
	deadline := time.After(patience)
	for {
		u.mu.Lock()
		batches, changed := slices.Clone(u.batches), u.changed
		u.mu.Unlock()
		if done(batches) {
			return batches
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s did not arrive; %d batches did", what, len(batches))
		}
	}
}

// awaitBatches waits for n batches and returns all batches so far.
func (u *upstream) awaitBatches(t *testing.T, n int) [][]otlptest.Point {
	t.Helper()
	return u.await(t, "the next batch", func(batches [][]otlptest.Point) bool { return len(batches) >= n })
}

// awaitSampledAfter waits for a batch that was sampled after the given time, and returns all
// batches so far.
func (u *upstream) awaitSampledAfter(t *testing.T, at time.Time) [][]otlptest.Point {
	t.Helper()
	return u.await(t, "a batch sampled after the outage", func(batches [][]otlptest.Point) bool {
		return len(batches) > 0 && batches[len(batches)-1][0].Time.After(at)
	})
}

// listen serves u at addr. If answer is not nil and returns an error, u does not accept the
// request.
func (u *upstream) listen(
	t *testing.T,
	addr string,
	answer otlptest.Handler,
	opts ...grpc.ServerOption,
) *otlptest.Receiver {
	t.Helper()
	r, err := otlptest.Start(addr, func(ctx context.Context, r *otlptest.Request) (*otlptest.Response, error) {
		response := &otlptest.Response{}
		if answer != nil {
			var err error
			if response, err = answer(ctx, r); err != nil {
				return nil, err
			}
		}
		u.take(r)
		return response, nil
	}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// find returns the points of a metric that have the attributes given as pairs of key and value.
func find(batch []otlptest.Point, metric string, attributes ...string) []otlptest.Point {
	var found []otlptest.Point
	for _, p := range batch {
		match := p.Metric == metric
		for i := 0; i < len(attributes); i += 2 {
			match = match && p.Attributes[attributes[i]] == attributes[i+1]
		}
		if match {
			found = append(found, p)
		}
	}
	return found
}

// outcome returns the sum of poolgauge.relay.points with the outcome name for the sidecar's own
// points, or 0 if there is none.
func outcome(batch []otlptest.Point, name string) int { return outcomeOf(batch, "own", name) }

// outcomeOf is like outcome, for the given lane.
func outcomeOf(batch []otlptest.Point, lane, name string) int {
	sum := 0
	for _, p := range find(batch, "poolgauge.relay.points", "poolgauge.point.outcome", name, "poolgauge.relay.lane", lane) {
		sum += int(p.Value)
	}
	return sum
}
