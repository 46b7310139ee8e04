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

// RequestSize is how many bytes a request has at most, as long as it can be divided: after an
// outage the upstream gets few large requests, and none that is too large for it (receivers take 4
// MiB by default).
const RequestSize = 1 << 20

// Policy configures retries and the pace of a backlog.
type Policy struct {
	// Backoff between attempts: each wait is drawn from LeastBackoff to a ceiling that doubles up
	// to LongestBackoff, so that many sidecars do not come back at once. 0 stands for 1 s and 30 s.
	LeastBackoff, LongestBackoff time.Duration
	// Hold is for how long a refusal must last before it counts as final, if it may be that of a
	// roll-out.
	Hold time.Duration
	// Drain bounds how fast the backlog is sent after an outage: so many times as many bytes a
	// second as come. 0: no bound.
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
	// Upstream names what the client sends to. When one lane of an upstream is accepted again, the
	// others that wait retry at once.
	Upstream string
	Timeout  time.Duration // of one request; > 0
	InFlight int           // requests at once; at least 1. With 1 they arrive in order
	// Gather is the least time from one request to the next, while there is less than [RequestSize]
	// to send: under load it makes few requests out of many, which is cheaper for both sides, and
	// what comes alone does not wait. 0: none.
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

	closing context.Context // done: send what is there, then end
	close   context.CancelFunc
	abort   context.Context // done: end what is under way
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// sender is a goroutine that sends one request of a lane at a time.
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
	// closed when a lane of the upstream is accepted again that was not when the last request began
	recovered <-chan struct{}
	busy      atomic.Int64 // Unix ns at which a request began; 0 while there is none
}

// New starts an exporter, whose histogram of [catalog.ExportDuration] goes to meter. It is the only
// one that takes from q. [Exporter.Drain] ends it.
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

// Account returns what became of the batches taken from the queue, and the state of the upstream.
func (e *Exporter) Account() Account {
	a := e.figures.read(e.queue)
	for id, c := range e.courses {
		a.Lanes[id] = c.read()
	}
	return a
}

// Ready returns an error if the upstream does not accept a lane; nil before the first answer.
func (e *Exporter) Ready() error {
	var errs []error
	a := e.Account()
	for _, l := range e.lanes {
		of := a.Lanes[l.ID]
		if of.State != OK {
			errs = append(
				errs,
				fmt.Errorf(
					"upstream does not accept %s: %s for %v: %w",
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

// Alive returns an error if a request has not ended long after its time-out, which means that its
// sender hangs.
func (e *Exporter) Alive() error {
	for _, s := range e.senders {
		begun := s.busy.Load()
		if begun == 0 {
			continue
		}
		if took := time.Since(time.Unix(0, begun)); took > s.timeout+30*time.Second {
			return fmt.Errorf("a request of %s has not ended for %v", s.lane, took.Round(time.Second))
		}
	}
	return nil
}

// Drain sends queued batches until the queue is empty or ctx is done, then ends the goroutines and
// closes the clients. Batches that were not sent stay in the queue. Call it once, after the last Put
// and before the queue is closed.
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
	for s.abort.Err() == nil { // which Take would not look at while there is something to take
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

// roomy is the least limit of a queue that can take batches for the time of gathering; a smaller
// one could overflow meanwhile.
const roomy = 4 * RequestSize

// gather waits until it is time for the next request after one that began at last.
func (s *sender) gather(last time.Time) {
	if s.gathers == 0 {
		return
	}
	if usage, limit := s.queue.Usage(s.lane); usage < RequestSize && limit >= roomy {
		asleep(s.closing, s.gathers-time.Since(last), nil)
	}
}

// requestSize returns how large the next request may be: less than the lane's size while there is a
// backlog.
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

// take waits for a flight. Once the exporter is closing it does so only as long as there is
// something in the lane that is not on its way.
func (s *sender) take() (*queue.Flight, error) {
	f, err := s.queue.TakeUntil(s.abort, s.closing.Done(), s.lane, s.requestSize())
	if errors.Is(err, queue.ErrNothing) && s.queue.Waits(s.lane) { // since a moment ago
		return s.queue.Take(s.abort, s.lane, s.course.requestSize())
	}
	return f, err
}
