package export

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// RequestSize is how many bytes of batches are joined into one request at most, as long as there are so many: after an outage the upstream gets
// few large requests, and none that is too large for it (receivers take 4 MiB by default). A single batch may be larger.
const RequestSize = 1 << 20

// Policy is how patient an exporter is.
type Policy struct {
	Timeout time.Duration // of one request; > 0
	// Backoff between attempts: each wait is drawn from LeastBackoff to a ceiling that doubles up to LongestBackoff, so that many sidecars do not come
	// back at once. 0 stands for 1 s and 30 s.
	LeastBackoff, LongestBackoff time.Duration
	// Gather is the least time from one request to the next, while there is less than [RequestSize] to send: under load it makes few requests out of
	// many, which is cheaper for both sides, and what comes alone does not wait. 0: none.
	Gather time.Duration
}

// Exporter sends what is queued, from a goroutine of its own: strictly the oldest first, one request at a time, again for as long as it takes.
// So points arrive in order and an upstream that comes back is not flooded, but new points wait behind the backlog, and those of one signal behind
// another's. Methods are safe for concurrent use.
type Exporter struct {
	queue   *queue.Queue
	client  Client
	policy  Policy
	log     *slog.Logger
	figures *figures

	closing context.Context // done: send what is there, then end
	close   context.CancelFunc
	abort   context.Context // done: end what is under way
	cancel  context.CancelFunc
	ended   chan struct{} // closed when the goroutine has ended

	complaining bool // the upstream had something to say of the last request that it took; of the goroutine
}

// New starts an exporter, whose histogram of [catalog.ExportDuration] goes to meter. It owns the client, and is the only one that takes from q.
// [Exporter.Drain] ends it.
func New(q *queue.Queue, client Client, policy Policy, meter metric.Meter, log *slog.Logger) (*Exporter, error) {
	if policy.LeastBackoff == 0 {
		policy.LeastBackoff = time.Second
	}
	if policy.LongestBackoff == 0 {
		policy.LongestBackoff = 30 * time.Second
	}
	e := &Exporter{queue: q, client: client, policy: policy, log: log, ended: make(chan struct{})}
	var err error
	if e.figures, err = newFigures(meter); err != nil {
		return nil, err
	}
	e.abort, e.cancel = context.WithCancel(context.Background())
	e.closing, e.close = context.WithCancel(e.abort)
	go e.run()
	return e, nil
}

// Account returns what became of what was taken from the queue, and how the upstream does.
func (e *Exporter) Account() Account { return e.figures.read(e.queue) }

// Ready returns an error if the upstream did not take the last request; nil before the first.
func (e *Exporter) Ready() error {
	if f := e.Account().Failure; f != nil {
		return fmt.Errorf("the upstream does not take points: %w", f)
	}
	return nil
}

// Drain sends what is queued until the queue is empty or ctx is done, then ends the goroutine and closes the client. What was not sent is in the queue.
// Call it once, when nothing is put into the queue any more, and before the queue is closed.
func (e *Exporter) Drain(ctx context.Context) error {
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
	for e.abort.Err() == nil { // which Take would not look at while there is something to take
		f, err := e.take()
		if err != nil {
			return
		}
		begun := time.Now()
		e.deliver(f)
		e.gather(begun)
	}
}

// roomy is the least limit of a queue that can take points for the time of gathering; a smaller one could overflow meanwhile.
const roomy = 4 * RequestSize

// gather waits until it is time for the next request after one that began at last.
func (e *Exporter) gather(last time.Time) {
	if a := e.queue.Account(); e.policy.Gather > 0 && a.Usage < RequestSize && a.Limit >= roomy {
		asleep(e.closing, e.policy.Gather-time.Since(last))
	}
}

// take waits for a flight. Once the exporter is closing it does so only as long as there is something in the queue.
func (e *Exporter) take() (*queue.Flight, error) {
	f, err := e.queue.Take(e.closing, RequestSize)
	if err == nil || e.closing.Err() == nil || e.queue.Account().Oldest.IsZero() {
		return f, err
	}
	return e.queue.Take(e.abort, RequestSize)
}

// deliver sends a flight until the upstream has taken it or refused it for good. What is not settled at the end returns to the queue.
func (e *Exporter) deliver(f *queue.Flight) {
	defer f.Return()
	e.divide(f, 0, len(f.Batches))
}

// divide sends the batches from i up to j. What was joined and refused goes again in halves, down to single batches, so that only what is bad
// itself is lost, and that takes few requests: an upstream that often refuses would never see the end of a backlog that came one by one.
func (e *Exporter) divide(f *queue.Flight, i, j int) {
	if settled := e.attempt(f, i, j); settled || j-i == 1 || e.abort.Err() != nil {
		return
	}
	middle := (i + j) / 2
	e.divide(f, i, middle)
	e.divide(f, middle, j)
}

// attempt sends the batches from i up to j as one request, as often as it takes, and settles them. It reports false if there was more than one
// and the request was refused, or if the exporter is to end: then they are not settled.
func (e *Exporter) attempt(f *queue.Flight, i, j int) (settled bool) {
	request := join(f.Batches[i:j])
	result, failure := e.persist(request)
	switch {
	case failure == nil:
		e.figures.settle(f, i, j, request.Points-result.Rejected, result.Rejected, reasonPartial)
		return true
	case failure.Retry: // the exporter is to end
		return false
	case j-i > 1:
		e.log.Debug("upstream refuses a request; it is sent in halves", "batches", j-i, "error", failure)
		return false
	default:
		e.refused(request, failure)
		e.figures.settle(f, i, j, 0, request.Points, failure.Reason)
		return true
	}
}

// persist sends a request until the upstream takes it, refuses it for good or the exporter is to end. A failure that may pass means the latter.
func (e *Exporter) persist(request otlp.Batch) (Result, *Failure) {
	aborted := &Failure{Reason: reasonRequest, Retry: true, Err: context.Canceled}
	backoff := newBackoff(e.policy)
	for e.abort.Err() == nil {
		result, failure := e.send(request)
		switch {
		case failure == nil:
			e.taken(request, result)
			return result, nil
		case e.abort.Err() != nil: // which says nothing of the upstream
			return Result{}, aborted
		case !failure.Retry:
			return Result{}, failure
		}
		e.failed(failure)
		e.wait(backoff.next(failure.After), failure.After)
	}
	return Result{}, aborted
}

func (e *Exporter) send(request otlp.Batch) (Result, *Failure) {
	ctx, cancel := context.WithTimeout(e.abort, e.policy.Timeout)
	defer cancel()
	start := time.Now()
	result, err := e.client.Send(ctx, request)
	took := time.Since(start)
	if err == nil {
		e.figures.answered(took, "")
		result.Rejected = min(max(result.Rejected, 0), request.Points)
		return result, nil
	}
	failure := failureOf(err)
	if e.abort.Err() == nil {
		e.figures.answered(took, failure.Reason)
	}
	return Result{}, failure
}

// taken notes that the upstream took a request, at least in part.
func (e *Exporter) taken(request otlp.Batch, result Result) {
	if e.figures.change(nil) {
		e.log.Info("upstream takes points again", "queued", e.queue.Account().Queued())
	}
	complains := result != Result{}
	if complains && !e.complaining {
		e.complain(request, result)
	}
	e.complaining = complains
}

// complain logs the first complaint of a row.
func (e *Exporter) complain(request otlp.Batch, result Result) {
	log := e.log.With("signal", request.Signal.String(), "message", result.Message)
	if result.Rejected == 0 {
		log.Warn("upstream takes the points with a warning")
		return
	}
	log.Warn("upstream rejects some of the points", "points", result.Rejected)
}

// failed logs the first failure of a row, since an outage is one change of state and not one a request.
func (e *Exporter) failed(failure *Failure) {
	if e.figures.change(failure) {
		e.log.Warn("upstream does not take points; they are queued", "error", failure)
	}
}

// refused notes that the upstream will never take a request.
func (e *Exporter) refused(request otlp.Batch, failure *Failure) {
	if e.figures.change(failure) {
		e.log.Warn("upstream refuses points for good; they are dropped", "signal", request.Signal.String(), "points", request.Points, "error", failure)
	}
}

// join makes one request of batches of one signal.
func join(batches []otlp.Batch) otlp.Batch {
	if len(batches) == 1 {
		return batches[0]
	}
	joined, data := otlp.Batch{Signal: batches[0].Signal}, make([][]byte, len(batches))
	for i, b := range batches {
		data[i] = b.Data
		joined.Points += b.Points
	}
	joined.Data = otlp.Join(data...)
	return joined
}
