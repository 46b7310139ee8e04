package export

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// requestSize is how many bytes of batches are joined into one request at most, as long as there are so many: after an outage the
// upstream gets few large requests, and nothing that is too large for it (OTLP receivers take 4 MiB by default).
const requestSize = 1 << 20

// Backoff between attempts of a request, doubling, with jitter of half to one and a half, so that many sidecars do not come back at once.
const (
	leastBackoff    = time.Second
	longestBackoff  = 30 * time.Second
	closingBackoff  = 100 * time.Millisecond // the grace time of a pod allows no more
	backoffExponent = 2
)

// Exporter sends what is queued, from a goroutine of its own: strictly the oldest first, one request at a time, for as long as it takes.
// So points arrive in order, and an upstream that comes back is not flooded; new points wait behind the backlog. Methods are safe for
// concurrent use.
type Exporter struct {
	queue   *queue.Queue
	client  Client
	timeout time.Duration
	log     *slog.Logger
	figures *figures

	closing context.Context // done: send what is there, then end
	close   context.CancelFunc
	abort   context.Context // done: end what is under way
	cancel  context.CancelFunc
	ended   chan struct{} // closed when the goroutine has ended

	rejecting bool // the last request was taken in part; of the goroutine
}

// New starts an exporter. One request may take timeout at most; how long it took goes to meter. [Exporter.Shutdown] ends it.
func New(q *queue.Queue, client Client, timeout time.Duration, meter metric.Meter, log *slog.Logger) (*Exporter, error) {
	e := &Exporter{queue: q, client: client, timeout: timeout, log: log, ended: make(chan struct{})}
	var err error
	if e.figures, err = newFigures(meter); err != nil {
		return nil, err
	}
	e.abort, e.cancel = context.WithCancel(context.Background())
	e.closing, e.close = context.WithCancel(e.abort)
	go e.run()
	return e, nil
}

// Account returns what became of points, in the queue and after it, at one moment.
func (e *Exporter) Account() Account {
	e.figures.mu.Lock()
	defer e.figures.mu.Unlock()
	a := e.figures.read()
	a.Queue = e.queue.Account()
	return a
}

// Ready returns an error if the upstream did not take the last request; nil before the first.
func (e *Exporter) Ready() error {
	if a := e.Account(); a.Failure != "" {
		return fmt.Errorf("the upstream does not take points: %s", a.Failure)
	}
	return nil
}

// Shutdown sends what is queued until ctx is done, then ends the goroutine and closes the client. What was not sent is in the queue.
func (e *Exporter) Shutdown(ctx context.Context) error {
	e.close()
	select {
	case <-e.ended:
	case <-ctx.Done():
	}
	e.cancel()
	<-e.ended
	return e.client.Close()
}

func (e *Exporter) run() {
	defer close(e.ended)
	for e.closing.Err() == nil {
		if f, err := e.queue.Take(e.closing, requestSize); err == nil {
			e.deliver(f)
		}
	}
	for e.abort.Err() == nil && !e.queue.Account().Oldest.IsZero() {
		if f, err := e.queue.Take(e.abort, requestSize); err == nil {
			e.deliver(f)
		}
	}
}

// deliver sends a flight until the upstream has taken it or refused it for good. What a refused request had joined goes again batch by
// batch, so that only what is bad itself is lost.
func (e *Exporter) deliver(f *queue.Flight) {
	defer f.Return()
	refused := e.attempt(f, 0, len(f.Batches))
	if refused && len(f.Batches) > 1 {
		for i := range f.Batches {
			e.attempt(f, i, i+1)
		}
	}
}

// attempt sends the batches from i to j as one request, as often as it takes, and settles them. It reports whether the request was refused;
// a batch that was refused alone is settled.
func (e *Exporter) attempt(f *queue.Flight, i, j int) (refused bool) {
	batches := f.Batches[i:j]
	request := join(batches)
	for backoff := leastBackoff; e.abort.Err() == nil; backoff = min(backoff*backoffExponent, longestBackoff) {
		answer, failure := e.send(request)
		switch {
		case failure == nil:
			e.succeeded(answer)
			e.settle(f, i, j, request.Points-answer.Rejected, answer.Rejected, "partial")
			return false
		case failure.Passing:
			e.failed(failure)
			e.wait(max(failure.After, jitter(backoff)))
		case len(batches) > 1:
			return true
		default:
			e.refused(failure)
			e.settle(f, i, j, 0, request.Points, failure.Reason)
			return true
		}
	}
	return false
}

// settle ends the time of the batches from i to j in the queue, and counts what became of their points, both at one moment.
func (e *Exporter) settle(f *queue.Flight, i, j int, sent, rejected int64, reason string) {
	e.figures.mu.Lock()
	defer e.figures.mu.Unlock()
	e.figures.settled(f.Batches[i].Signal, sent, rejected, reason)
	for ; i < j; i++ {
		f.Settle(i)
	}
}

// join makes one request of batches of one signal.
func join(batches []otlp.Batch) otlp.Batch {
	if len(batches) == 1 {
		return batches[0]
	}
	joined := otlp.Batch{Signal: batches[0].Signal}
	requests := make([][]byte, len(batches))
	for i, b := range batches {
		requests[i] = b.Data
		joined.Points += b.Points
	}
	joined.Data = otlp.Join(requests...)
	return joined
}

func (e *Exporter) send(request otlp.Batch) (Answer, *Failure) {
	ctx, cancel := context.WithTimeout(e.abort, e.timeout)
	defer cancel()
	start := time.Now()
	answer, failure := e.client.Send(ctx, request)
	if e.abort.Err() == nil || failure == nil { // what Shutdown cut off says nothing of the upstream
		e.figures.answered(time.Since(start), failure)
	}
	answer.Rejected = min(answer.Rejected, request.Points)
	return answer, failure
}

// wait waits for d or, once the exporter is closing, for a moment only.
func (e *Exporter) wait(d time.Duration) {
	sleep(e.closing, d)
	if e.closing.Err() != nil {
		sleep(e.abort, min(d, closingBackoff))
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (e *Exporter) succeeded(answer Answer) {
	if e.figures.up() {
		e.log.Info("upstream takes points again", "queued", e.queue.Account().Queued())
	}
	says := answer.Rejected > 0 || answer.Message != ""
	if says && !e.rejecting {
		e.log.Warn("upstream rejects some of the points", "points", answer.Rejected, "reason", answer.Message)
	}
	e.rejecting = says
}

// failed logs the first failure of a row, since an outage is one change of state and not one a request.
func (e *Exporter) failed(failure *Failure) {
	if e.figures.down(failure) && e.abort.Err() == nil {
		e.log.Warn("upstream does not take points; they are queued", "error", failure.Cause)
	}
}

func (e *Exporter) refused(failure *Failure) {
	if e.figures.down(failure) {
		e.log.Warn("upstream refuses points for good; they are dropped", "error", failure.Cause)
	}
}

func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d) //nolint:gosec // no secret
}
