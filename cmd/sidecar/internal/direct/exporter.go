package direct

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/collector/export"
)

// QueuedBatches is how many collections wait at most for an upstream that does not take them: ten minutes at the default interval.
const QueuedBatches = 60

// Backoff between attempts of a batch, doubling, with jitter.
const (
	leastBackoff    = time.Second
	longestBackoff  = 30 * time.Second
	closingBackoff  = 100 * time.Millisecond // the grace time of a pod allows no more
	backoffJitter   = 0.2
	backoffExponent = 2
)

// Upstream sends one collection to where it shall go.
type Upstream interface {
	// Send returns the points that the upstream refused of those it took, or an error. It is never called concurrently.
	Send(ctx context.Context, rm *metricdata.ResourceMetrics) (rejected int64, err error)
	// Close releases the connection.
	Close() error
}

// Exporter sends collections to an upstream, one after the other, from a goroutine of its own. While the upstream fails, they wait
// in a bounded queue, which drops its oldest. It retries for as long as the failure is one that may pass. Methods are safe for concurrent use.
type Exporter struct {
	upstream Upstream
	timeout  time.Duration
	log      *slog.Logger
	queue    *queue
	figures  *figures

	closing chan struct{}   // closed by Shutdown: send what is there, then end
	ended   chan struct{}   // closed when the goroutine has ended
	abort   context.Context // ends what is under way
	cancel  context.CancelFunc

	failing   atomic.Bool // the last export was not taken
	rejecting bool        // the last export was taken in part; of the goroutine
}

// NewExporter starts an exporter, whose figures about itself go to meter. Sending one collection may take timeout at most.
// [Exporter.Shutdown] ends it.
func NewExporter(upstream Upstream, timeout time.Duration, meter metric.Meter, log *slog.Logger) (*Exporter, error) {
	e := &Exporter{
		upstream: upstream, timeout: timeout, log: log, queue: newQueue(QueuedBatches),
		closing: make(chan struct{}), ended: make(chan struct{}),
	}
	var err error
	if e.figures, err = newFigures(meter, e.queue.read); err != nil {
		return nil, err
	}
	e.abort, e.cancel = context.WithCancel(context.Background())
	go e.run()
	return e, nil
}

// Push queues a collection; it never blocks. It is a sink of the sampler.
func (e *Exporter) Push(rm *metricdata.ResourceMetrics) {
	e.queue.push(batch{metrics: rm, points: countPoints(rm)})
}

// Ready returns an error if the upstream did not take the last collection that was sent; nil before the first.
func (e *Exporter) Ready() error {
	if e.failing.Load() {
		return fmt.Errorf("the upstream does not take points; %d are queued", e.queue.read().queued)
	}
	return nil
}

// Shutdown sends what is queued until ctx is done, then ends the goroutine and closes the upstream. Call it once, after the last Push.
func (e *Exporter) Shutdown(ctx context.Context) error {
	close(e.closing)
	select {
	case <-e.ended:
	case <-ctx.Done():
		e.cancel()
		<-e.ended
	}
	e.cancel()
	if lost := e.queue.read().queued; lost > 0 {
		e.log.Warn("stopped before the upstream took every point", "points", lost)
	}
	return e.upstream.Close()
}

func (e *Exporter) run() {
	defer close(e.ended)
	for e.abort.Err() == nil {
		if b, ok := e.queue.take(); ok {
			e.deliver(b)
			continue
		}
		select {
		case <-e.queue.ready:
		case <-e.closing:
			if e.queue.empty() {
				return
			}
		}
	}
}

// deliver sends b until the upstream took it, refused it for good, or the grace time of Shutdown is over.
func (e *Exporter) deliver(b batch) {
	backoff := leastBackoff
	for {
		rejected, err := e.send(b)
		if err == nil {
			e.queue.finish(b.points-rejected, rejected, 0)
			e.succeeded(rejected)
			return
		}
		if e.abort.Err() != nil {
			return // still in flight, for good
		}
		var failure *export.Failure
		retry := errors.As(err, &failure) && failure.Retry
		e.failed(err, retry)
		if !retry {
			e.queue.finish(0, 0, b.points)
			return
		}
		e.wait(max(failure.After, jitter(backoff)))
		backoff = min(backoff*backoffExponent, longestBackoff)
	}
}

func (e *Exporter) send(b batch) (rejected int64, err error) {
	ctx, cancel := context.WithTimeout(e.abort, e.timeout)
	defer cancel()
	start := time.Now()
	rejected, err = e.upstream.Send(ctx, b.metrics)
	e.figures.duration(time.Since(start), err)
	return min(rejected, b.points), err
}

// wait waits for d or, once the exporter is closing, for a moment only.
func (e *Exporter) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return
	case <-e.abort.Done():
		return
	case <-e.closing:
	}
	select {
	case <-time.After(min(d, closingBackoff)):
	case <-e.abort.Done():
	}
}

func (e *Exporter) succeeded(rejected int64) {
	if e.failing.Swap(false) {
		a := e.queue.read()
		e.log.Info("upstream takes points again", "queued", a.queued, "dropped", a.dropped)
	}
	if rejected > 0 && !e.rejecting {
		e.log.Warn("upstream rejects some of the points", "points", rejected)
	}
	e.rejecting = rejected > 0
}

// failed logs the first failure of a row, since an outage is one change of state and not one a batch.
func (e *Exporter) failed(err error, retry bool) {
	if e.failing.Swap(true) {
		return
	}
	if retry {
		e.log.Warn("upstream does not take points; they are queued", "error", err)
		return
	}
	e.log.Warn("upstream refuses points for good; they are dropped", "error", err)
}

func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + backoffJitter*(2*rand.Float64()-1))) //nolint:gosec // no secret
}
