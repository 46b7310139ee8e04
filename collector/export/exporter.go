package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// RequestSize is the maximum size in bytes of a request that can be divided. It is large, so that
// the upstream receives few requests after an outage, and below the upstream's limit, which is 4
// MiB by default in most receivers.
const RequestSize = 1 << 20

// Policy configures retries and the pace at which a backlog is sent.
type Policy struct {
	// The backoff between attempts. Each wait is random, from LeastBackoff to a limit that doubles up
	// to LongestBackoff, so that many sidecars do not return at the same time. 0 means 1 s and 30 s,
	// respectively.
	LeastBackoff, LongestBackoff time.Duration
	// Hold is how long a refusal that may be temporary, as during a rollout, must last before it is
	// final.
	Hold time.Duration
	// Drain limits the rate at which the backlog is sent after an outage, as a multiple of the
	// incoming rate in bytes. 0 means no limit.
	Drain float64
}

func (p Policy) withDefaults() Policy {
	if p.LeastBackoff == 0 {
		p.LeastBackoff = time.Second
	}
	if p.LongestBackoff == 0 {
		p.LongestBackoff = 30 * time.Second
	}
	return p
}

// Lane is one lane of an exporter.
type Lane struct {
	ID     queue.Lane
	Client Client // the exporter closes it
	// Upstream identifies the client's upstream. When the upstream accepts one lane again, its
	// other lanes retry immediately.
	Upstream string
	Timeout  time.Duration // limit for one request; must be positive
	InFlight int           // maximum concurrent requests, at least 1; if 1, requests arrive in order
	// Gather is the minimum time between the starts of two requests while there is less than
	// [RequestSize] to send; 0 means no minimum. Under load this reduces the number of requests,
	// which is cheaper for both sides. A batch that arrives alone does not wait.
	Gather time.Duration
}

// Exporter sends queued batches from its own goroutines, and retries until they are accepted or
// permanently rejected. It is safe for concurrent use.
type Exporter struct {
	queue   *queue.Queue
	lanes   []Lane
	courses map[queue.Lane]*course
	senders []*sender
	figures *figures

	closing context.Context // done: send what is queued, then stop
	close   context.CancelFunc
	abort   context.Context // done: cancel requests in flight and stop
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// sender is a goroutine that sends the requests of a lane, one at a time.
type sender struct {
	*Exporter

	lane    queue.Lane
	signal  otlp.Signal
	client  Client
	timeout time.Duration
	gathers time.Duration
	course  *course
	policy  Policy
	pace    *Pace
	// closed when the upstream accepts another of its lanes again
	recovered <-chan struct{}
	busy      atomic.Int64 // when the current request was started, in Unix ns; 0 if there is none
}

// New starts an exporter, which must be the only consumer of q. It records the histogram
// [catalog.ExportDuration] with meter. Call [Exporter.Drain] to stop it.
func New(q *queue.Queue, lanes []Lane, policy Policy, meter metric.Meter, log *slog.Logger) (*Exporter, error) {
	policy = policy.withDefaults()
	e := &Exporter{queue: q, lanes: lanes, courses: map[queue.Lane]*course{}}
	var err error
	if e.figures, err = newFigures(meter); err != nil {
		return nil, err
	}
	e.abort, e.cancel = context.WithCancel(context.Background())
	e.closing, e.close = context.WithCancel(e.abort)
	recoveries := map[string]*recovery{}
	for _, l := range lanes {
		r := recoveries[l.Upstream]
		if r == nil {
			r = newRecovery()
			recoveries[l.Upstream] = r
		}
		e.courses[l.ID] = newCourse(l.ID, q, policy, l.Timeout, r, log)
		pace := NewPace(policy.Drain)
		for range l.InFlight {
			s := &sender{
				Exporter: e,
				lane:     l.ID,
				signal:   l.ID.Signal(),
				client:   l.Client,
				timeout:  l.Timeout,
				gathers:  l.Gather,
				course:   e.courses[l.ID],
				policy:   policy,
				pace:     pace,
			}
			e.senders = append(e.senders, s)
			e.running.Go(s.run)
		}
	}
	return e, nil
}

// Account returns what happened to the batches taken from the queue, and the state of the upstream.
func (e *Exporter) Account() Account {
	a := e.figures.read(e.queue)
	for id, c := range e.courses {
		a.Lanes[id] = c.read()
	}
	return a
}

// Ready returns an error if the upstream is not accepting the data of some lane. It returns nil
// until the first response.
func (e *Exporter) Ready() error {
	var errs []error
	a := e.Account()
	for _, l := range e.lanes {
		of := a.Lanes[l.ID]
		if of.State != OK {
			errs = append(
				errs,
				fmt.Errorf(
					"upstream is not accepting items of lane %s: %s for %v: %w",
					l.ID,
					of.State,
					time.Since(of.Since).Round(time.Second),
					of.Failure,
				),
			)
		}
	}
	return errors.Join(errs...)
}

// Alive returns an error if a request is still in progress long after its timeout, which means that
// its sender is hung.
func (e *Exporter) Alive() error {
	for _, s := range e.senders {
		begun := s.busy.Load()
		if begun == 0 {
			continue
		}
		if took := time.Since(time.Unix(0, begun)); took > s.timeout+30*time.Second {
			return fmt.Errorf("lane %s: a request is still in progress after %v", s.lane, took.Round(time.Second))
		}
	}
	return nil
}

// Drain sends queued batches until the queue is empty or ctx is done, then stops the goroutines and
// closes the clients. Batches that were not sent stay in the queue. It must be called once, after
// the last Put and before the queue is closed.
func (e *Exporter) Drain(ctx context.Context) error {
	e.close()
	ended := make(chan struct{})
	go func() {
		e.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	e.cancel()
	<-ended
	var errs []error
	for _, l := range e.lanes {
		e.courses[l.ID].end()
		errs = append(errs, l.Client.Close())
	}
	return errors.Join(errs...)
}

func (s *sender) run() {
	for s.abort.Err() == nil { // Take ignores its context while there is something to take
		f, err := s.take()
		if err != nil {
			return
		}
		begun := time.Now()
		if f.Old() || f.Oldest().Before(s.course.returned()) {
			s.hold(s.pace.Backlog(f.Size(0, f.Len()), begun))
		}
		s.deliver(f)
		s.gather(begun)
	}
}

// hold waits for d, or until the exporter is closing.
func (s *sender) hold(d time.Duration) { asleep(s.closing, d, nil) }

// roomy is the smallest queue limit at which the exporter waits to gather batches. A smaller queue
// could overflow in the meantime.
const roomy = 4 * RequestSize

// gather waits until it is time for the next request. last is when the previous request began.
func (s *sender) gather(last time.Time) {
	if s.gathers == 0 {
		return
	}
	if usage, limit := s.queue.Usage(s.lane); usage < RequestSize && limit >= roomy {
		asleep(s.closing, s.gathers-time.Since(last), nil)
	}
}

// requestSize returns the maximum size of the next request. While there is a backlog, the pace may
// make it less than the lane's request size.
func (s *sender) requestSize() int64 {
	size := s.course.requestSize()
	if s.policy.Drain == 0 || s.closing.Err() != nil {
		return size
	}
	a, now := s.queue.Account().Lanes[s.lane], time.Now()
	s.pace.Look(a.Bytes, a.Usage, a.Oldest, now)
	if a.Oldest.IsZero() || !a.Oldest.Before(s.course.returned()) {
		return size
	}
	return min(size, s.pace.Share())
}

// take waits for a flight. Once the exporter is closing, it waits only while the lane has batches
// that are not in flight.
func (s *sender) take() (*queue.Flight, error) {
	f, err := s.queue.TakeUntil(s.abort, s.closing.Done(), s.lane, s.requestSize())
	if errors.Is(err, queue.ErrNothing) && s.queue.Waits(s.lane) { // put a moment ago
		return s.queue.Take(s.abort, s.lane, s.course.requestSize())
	}
	return f, err
}
