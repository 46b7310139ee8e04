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
	// The backoff between attempts. Each wait is random, from LeastBackoff to a limit that doubles
	// up to LongestBackoff, so that many sidecars do not retry at the same time. If zero, they
	// default to 1 s and 30 s, respectively.
	LeastBackoff, LongestBackoff time.Duration
	// Hold is how long a refusal that may be temporary, as during a rollout, must last before it is
	// treated as final.
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
	// Upstream identifies the client's upstream. When the upstream accepts requests of one lane
	// again, its other lanes retry immediately.
	Upstream string
	Timeout  time.Duration // limit for one request; must be positive
	InFlight int           // maximum concurrent requests, at least 1; if 1, requests arrive in order
	// Gather is the minimum time between the starts of two requests while there is less than
	// [RequestSize] to send; 0 means no minimum. Under load there are then fewer requests, which
	// saves CPU time on both sides. A batch that arrives alone does not wait.
	Gather time.Duration
}

// Exporter sends queued batches from its own goroutines, and retries until they are accepted or
// permanently rejected. It is safe for concurrent use.
type Exporter struct {
	queue   *queue.Queue
	lanes   []Lane
	states  map[queue.Lane]*laneState
	senders []*sender
	stats   *stats

	closing context.Context // done: send what is queued, then stop
	close   context.CancelFunc
	abort   context.Context // done: cancel requests in flight and stop
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// sender is a goroutine that sends the requests of a lane, one at a time.
type sender struct {
	*Exporter

	lane       queue.Lane
	signal     otlp.Signal
	client     Client
	timeout    time.Duration
	gatherTime time.Duration
	state      *laneState
	policy     Policy
	pace       *Pace
	// closed when the upstream accepts requests of another lane again
	recovered <-chan struct{}
	busy      atomic.Int64 // when the current request was started, in Unix ns; 0 if there is none
}

// New starts an exporter, which must be the only consumer of q. It records the histogram
// [catalog.ExportDuration] with meter. Call [Exporter.Drain] to stop it.
func New(q *queue.Queue, lanes []Lane, policy Policy, meter metric.Meter, log *slog.Logger) (*Exporter, error) {
	policy = policy.withDefaults()
	e := &Exporter{queue: q, lanes: lanes, states: map[queue.Lane]*laneState{}}
	var err error
	if e.stats, err = newStats(meter); err != nil {
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
		e.states[l.ID] = newLaneState(l.ID, q, policy, l.Timeout, r, log)
		pace := NewPace(policy.Drain)
		for range l.InFlight {
			s := &sender{
				Exporter:   e,
				lane:       l.ID,
				signal:     l.ID.Signal(),
				client:     l.Client,
				timeout:    l.Timeout,
				gatherTime: l.Gather,
				state:      e.states[l.ID],
				policy:     policy,
				pace:       pace,
			}
			e.senders = append(e.senders, s)
			e.running.Go(s.run)
		}
	}
	return e, nil
}

// Account returns what happened to the batches taken from the queue, and the state of the upstream.
func (e *Exporter) Account() Account {
	a := e.stats.read(e.queue)
	for id, c := range e.states {
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
		lane := a.Lanes[l.ID]
		if lane.State != OK {
			errs = append(
				errs,
				fmt.Errorf(
					"upstream is not accepting items of lane %s: %s for %v: %w",
					l.ID,
					lane.State,
					time.Since(lane.Since).Round(time.Second),
					lane.Failure,
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
		e.states[l.ID].stop()
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
		if f.Old() || f.Oldest().Before(s.state.lastRecovery()) {
			s.delay(s.pace.Backlog(f.Size(0, f.Len()), begun))
		}
		s.deliver(f)
		s.gather(begun)
	}
}

// delay waits for d, or until the exporter is closing.
func (s *sender) delay(d time.Duration) { sleep(s.closing, d, nil) }

// minGatherLimit is the smallest queue limit at which the exporter waits to gather batches. A
// smaller queue could overflow in the meantime.
const minGatherLimit = 4 * RequestSize

// gather waits until it is time for the next request. last is when the previous request began.
func (s *sender) gather(last time.Time) {
	if s.gatherTime == 0 {
		return
	}
	if usage, limit := s.queue.Usage(s.lane); usage < RequestSize && limit >= minGatherLimit {
		sleep(s.closing, s.gatherTime-time.Since(last), nil)
	}
}

// requestSize returns the maximum size of the next request. While there is a backlog, the pace may
// make it less than the lane's request size.
func (s *sender) requestSize() int64 {
	size := s.state.requestSize()
	if s.policy.Drain == 0 || s.closing.Err() != nil {
		return size
	}
	a, now := s.queue.Account().Lanes[s.lane], time.Now()
	s.pace.Look(a.Bytes, a.Usage, a.Oldest, now)
	if a.Oldest.IsZero() || !a.Oldest.Before(s.state.lastRecovery()) {
		return size
	}
	return min(size, s.pace.Share())
}

// take waits for a flight. Once the exporter is closing, it waits only while the lane has batches
// that are not in flight.
func (s *sender) take() (*queue.Flight, error) {
	f, err := s.queue.TakeUntil(s.abort, s.closing.Done(), s.lane, s.requestSize())
	if errors.Is(err, queue.ErrNothing) && s.queue.Waits(s.lane) { // put just now
		return s.queue.Take(s.abort, s.lane, s.state.requestSize())
	}
	return f, err
}
