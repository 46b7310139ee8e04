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
	preparing    map[*pgx.Conn]*dial
	constructing int64
	makes        [failures]instrument.Histogram
	closed       int64 // connections closed
	broken       int64 // of these, connections that were broken when they were released
	other        int64 // of these, connections closed for any other reason, as last reported
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
	failures
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

// asked is a call of Acquire. The track's lock guards it.
type asked struct{ claim measure.Claim }

// dial is a connection that is being established.
type dial struct {
	began    time.Duration
	prepares bool // AfterConnect will be called
}

func (t *track) ask(ctx context.Context) *asked {
	span := trace.SpanContextFromContext(ctx)
	t.Lock()
	defer t.Unlock()
	return &asked{t.Ask(span)}
}

// begin records the start of a connection attempt. If a call of Acquire caused the attempt, ctx
// carries that call's values; the call may have returned since.
func (t *track) begin(ctx context.Context, prepares bool) *dial {
	d := &dial{began: measure.Clock(), prepares: prepares}
	t.Lock()
	defer t.Unlock()
	t.constructing++
	if a, ok := ctx.Value(askedKey{}).(*asked); ok {
		a.claim.Construct(&t.Recorder, d.began)
	}
	return d
}

// made records that d has been established or, if err is not nil, has failed. It ignores a nil d.
func (t *track) made(d *dial, err error) {
	if d == nil {
		return
	}
	t.Lock()
	defer t.Unlock()
	t.constructing--
	t.makes[failureOf(err)].Record(measure.Clock() - d.began)
}

func (t *track) connected(c *pgx.Conn, d *dial) {
	t.Lock()
	defer t.Unlock()
	t.preparing[c] = d
}

func (t *track) connectedAs(c *pgx.Conn) *dial {
	t.Lock()
	defer t.Unlock()
	d := t.preparing[c]
	delete(t.preparing, c)
	return d
}

// got records the end of a call of Acquire.
func (t *track) got(ctx context.Context, a *asked, c *pgx.Conn, err error) {
	if a == nil {
		return
	}
	t.Lock()
	defer t.Unlock()
	switch {
	case err == nil:
		t.events++
		t.uses[c] = a.claim.Get(&t.Recorder)
	case errors.Is(err, puddle.ErrClosedPool):
		a.claim.GiveUp(&t.Recorder, instrument.WasClosed)
	case ctx.Err() != nil:
		a.claim.GiveUp(&t.Recorder, instrument.GaveUp(ctx.Err()))
	default: // connecting failed
		t.End(a.claim.Get(&t.Recorder), instrument.Failed)
	}
}

func (t *track) release(c *pgx.Conn) {
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

func (t *track) closing() {
	t.Lock()
	defer t.Unlock()
	t.closed++
}

// snapshot returns the pool's statistics and the number of recorded uses whose connections were
// hijacked, so that the pool no longer counts them. If uses keep starting or ending during the
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
	for f := range failures {
		event := instrument.CreateFailed
		if f == none {
			event = instrument.Created
		}
		made := t.makes[f].Clone()
		s.Resources = append(
			s.Resources,
			instrument.Resources{Event: event, Reason: f.String(), Count: int64(made.Count())},
		)
		s.Create = append(s.Create, instrument.Creation{ErrorType: f.String(), Duration: made})
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
