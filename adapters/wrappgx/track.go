package wrappgx

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"
	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// track records a pool's events, as reported by its tracers. Do not call methods of the pool while
// holding the recorder's lock.
type track struct {
	stat func() *pgxpool.Stat // set before the first collection

	measure.Recorder // its lock guards everything below

	events       int64 // number of starts and ends of uses
	uses         map[*pgx.Conn]measure.Use
	preparing    map[*pgx.Conn]*dial // connections for which AfterConnect is being called
	constructing int64
	dials        [numFailures]instrument.Histogram // durations, by result
	closed       int64                             // connections closed
	broken       int64                             // those of them that were broken when they were released
	other        int64                             // those of them that were closed for other reasons, as last reported
}

func newTrack(opts []instrument.Option) *track {
	t := &track{uses: map[*pgx.Conn]measure.Use{}, preparing: map[*pgx.Conn]*dial{}}
	t.Init(instrument.TimingOf(opts...))
	return t
}

// failure is the result of an attempt to connect.
type failure uint8

const (
	none failure = iota
	timedOut
	canceled
	failed
	numFailures
)

func (f failure) String() string { return [...]string{"", "timeout", "canceled", "error"}[f] }

func failureOf(err error) failure {
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return none
	case errors.Is(err, context.Canceled):
		return canceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	}
	return failed
}

// request is a call to Acquire. The track's lock guards it.
type request struct{ claim measure.Claim }

// dial is an attempt to establish a connection.
type dial struct {
	start    time.Duration // reading of measure.Clock
	prepares bool          // AfterConnect will be called
}

func (t *track) startRequest(ctx context.Context) *request {
	span := trace.SpanContextFromContext(ctx)
	t.Lock()
	defer t.Unlock()
	return &request{t.Ask(span)}
}

// startDial records the start of a connection attempt. If a call to Acquire caused the attempt, ctx
// carries that call's values; the call may have returned since.
func (t *track) startDial(ctx context.Context, prepares bool) *dial {
	d := &dial{start: measure.Clock(), prepares: prepares}
	t.Lock()
	defer t.Unlock()
	t.constructing++
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		r.claim.Construct(&t.Recorder, d.start)
	}
	return d
}

// endDial records that d has succeeded or, if err is not nil, has failed. It ignores a nil d.
func (t *track) endDial(d *dial, err error) {
	if d == nil {
		return
	}
	t.Lock()
	defer t.Unlock()
	t.constructing--
	t.dials[failureOf(err)].Record(measure.Clock() - d.start)
}

// putPreparing stores d, which established c, until AfterConnect has been called for c.
func (t *track) putPreparing(c *pgx.Conn, d *dial) {
	t.Lock()
	defer t.Unlock()
	t.preparing[c] = d
}

// takePreparing removes and returns the dial that putPreparing stored for c.
func (t *track) takePreparing(c *pgx.Conn) *dial {
	t.Lock()
	defer t.Unlock()
	d := t.preparing[c]
	delete(t.preparing, c)
	return d
}

// endRequest records the end of a call to Acquire and, if it succeeded, the start of c's use.
func (t *track) endRequest(ctx context.Context, r *request, c *pgx.Conn, err error) {
	if r == nil {
		return
	}
	t.Lock()
	defer t.Unlock()
	switch {
	case err == nil:
		t.events++
		t.uses[c] = r.claim.Get(&t.Recorder)
	case errors.Is(err, puddle.ErrClosedPool):
		r.claim.GiveUp(&t.Recorder, instrument.WasClosed)
	case ctx.Err() != nil:
		r.claim.GiveUp(&t.Recorder, instrument.GaveUp(ctx.Err()))
	default: // connecting failed
		t.End(r.claim.Get(&t.Recorder), instrument.Failed)
	}
}

// endUse records the end of c's use.
func (t *track) endUse(c *pgx.Conn) {
	// pgxpool closes a released connection under the same conditions.
	how := instrument.OK
	if c.IsClosed() || c.PgConn().IsBusy() || c.PgConn().TxStatus() != 'I' {
		how = instrument.Failed
	}
	t.Lock()
	defer t.Unlock()
	t.events++
	if how == instrument.Failed {
		t.broken++
	}
	use, known := t.uses[c]
	if !known { // from AcquireAllIdle
		use = t.Start()
	}
	delete(t.uses, c)
	t.End(use, how)
}

func (t *track) recordClose() {
	t.Lock()
	defer t.Unlock()
	t.closed++
}

// snapshot returns the pool's statistics, and the number of recorded uses that the pool no longer
// counts because their connections were hijacked. If uses keep starting or ending during the
// snapshot, that number is unknown and snapshot returns 0.
func (t *track) snapshot() (s *pgxpool.Stat, hijacked int64) {
	for range 3 {
		t.Lock()
		before, used := t.events, t.Uses.InUse()
		t.Unlock()
		s = t.stat()
		t.Lock()
		same := t.events == before
		t.Unlock()
		if same {
			return s, used - int64(s.AcquiredConns())
		}
	}
	return s, 0
}

// stats returns the Stats for a collection.
func (t *track) stats() instrument.Stats {
	stat, hijacked := t.snapshot()
	s := statsOf(stat)
	t.Lock()
	defer t.Unlock()
	t.endHijacked(hijacked)
	now := measure.Clock()
	t.Requests.Report(&s, &t.Meter, instrument.Acquired, instrument.Canceled, instrument.TimedOut, instrument.WasClosed)
	t.ReportUses(&s, now, instrument.OK, instrument.Failed)
	t.Pending.Report(&s, now)
	s.Waits, s.WaitTime = instrument.Optional[int64]{}, instrument.Optional[float64]{}
	s.Usage[instrument.Constructing] = instrument.Some(t.constructing)
	known := t.broken
	for _, r := range s.Resources {
		known += r.Count
	}
	t.other = max(t.other, t.closed-known)
	s.Resources = append(s.Resources,
		instrument.Resources{Event: instrument.Ended, Reason: "broken", Count: t.broken},
		instrument.Resources{Event: instrument.Ended, Reason: "other", Count: t.other})
	for f := range numFailures {
		event := instrument.CreateFailed
		if f == none {
			event = instrument.Created
		}
		durations := t.dials[f].Clone()
		s.Resources = append(
			s.Resources,
			instrument.Resources{Event: event, Reason: f.String(), Count: int64(durations.Count())},
		)
		s.Create = append(s.Create, instrument.Creation{ErrorType: f.String(), Duration: durations})
	}
	return s
}

// endHijacked records the end of the n oldest uses, since it is unknown which ones were hijacked.
// The caller must hold the lock.
func (t *track) endHijacked(n int64) {
	for ; n > 0 && len(t.uses) > 0; n-- {
		var oldest *pgx.Conn
		age, now := time.Duration(-1), measure.Clock()
		for c, use := range t.uses {
			if a := use.Age(now).Or(0); a > age {
				oldest, age = c, a
			}
		}
		t.End(t.uses[oldest], instrument.OK)
		delete(t.uses, oldest)
	}
}
