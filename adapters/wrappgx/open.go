package wrappgx

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/poolgauge/poolgauge/instrument"
)

// NewWithConfig is like [pgxpool.NewWithConfig], but also reports metrics for the pool under name
// until the Registration is closed. It reports more than [Pool] does, because it installs pgx
// tracers; tracers set in config are still called. It reports
//
//   - requests by outcome: acquired, even if connecting failed (the use then ends as an error),
//     canceled, timeout and closed,
//   - how long each request waited for a connection, not counting the time to establish one; how
//     many requests are waiting, and how long the oldest has waited,
//   - connections established, and how long that took, including BeforeConnect and AfterConnect;
//     failed attempts, by type of error; and attempts in progress, even those whose request was
//     abandoned,
//   - uses, from Acquire to Release: how long each lasted, the age of the oldest, and whether the
//     connection could be reused (ok) or was closed (error). The use of a hijacked connection
//     counts as ended once a collection detects the hijack,
//   - connections closed, by reason: max_lifetime, max_idle_time, broken, and other, for example
//     when the pool is closed.
//
// Uses of connections that AcquireAllIdle returns are reported only when the connections are
// released. A use costs two lock operations and two clock readings; a query costs two calls of a
// no-op tracer.
func NewWithConfig(
	ctx context.Context,
	name string,
	config *pgxpool.Config,
	opts ...instrument.Option,
) (*pgxpool.Pool, *instrument.Registration, error) {
	if config == nil {
		return nil, nil, fmt.Errorf("pgx pool %q: the config is nil, expected one from pgxpool.ParseConfig", name)
	}
	t := newTrack(opts)
	if !instrument.TimingOf(opts...).Off {
		config = t.withTracers(config)
	}
	p, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	t.stat = p.Stat
	reg, err := instrument.Observe(name, Kind, t.stats, opts...)
	if err != nil {
		p.Close()
		return nil, nil, err
	}
	return p, reg, nil
}

// withTracers returns a copy of config with tracers that record the pool's events in t.
func (t *track) withTracers(config *pgxpool.Config) *pgxpool.Config {
	config = config.Copy()
	config.ConnConfig.Tracer = combine(config.ConnConfig.Tracer, leaseTracer{t: t})
	before, after, beforeClose := config.BeforeConnect, config.AfterConnect, config.BeforeClose
	config.BeforeConnect = func(ctx context.Context, c *pgx.ConnConfig) (err error) {
		d := t.startDial(ctx, after != nil)
		if before != nil {
			if err = before(ctx, c); err != nil {
				t.endDial(d, err)
				return err
			}
		}
		c.Tracer = combine(c.Tracer, connectTracer{t: t, dial: d})
		return nil
	}
	if after != nil {
		config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
			err := after(ctx, c)
			t.endDial(t.takePreparing(c), err)
			return err
		}
	}
	config.BeforeClose = func(c *pgx.Conn) {
		t.recordClose()
		if beforeClose != nil {
			beforeClose(c)
		}
	}
	return config
}

// combine returns a tracer that calls both tracers. existing may be nil.
func combine(existing, added pgx.QueryTracer) pgx.QueryTracer {
	if existing == nil {
		return added
	}
	return multitracer.New(existing, added)
}

// noQueries is a pgx.QueryTracer that does nothing. pgx requires every tracer in a config to
// implement that interface.
type noQueries struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (noQueries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (noQueries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// leaseTracer records when connections are acquired and released.
type leaseTracer struct {
	noQueries
	t *track
}

type requestKey struct{}

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (l leaseTracer) TraceAcquireStart(
	ctx context.Context,
	_ *pgxpool.Pool,
	_ pgxpool.TraceAcquireStartData,
) context.Context {
	return context.WithValue(ctx, requestKey{}, l.t.startRequest(ctx))
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (l leaseTracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, end pgxpool.TraceAcquireEndData) {
	r, _ := ctx.Value(requestKey{}).(*request)
	l.t.endRequest(ctx, r, end.Conn, end.Err)
}

// TraceRelease implements pgxpool.ReleaseTracer.
func (l leaseTracer) TraceRelease(_ *pgxpool.Pool, data pgxpool.TraceReleaseData) {
	l.t.endUse(data.Conn)
}

// connectTracer records the result of one attempt to connect.
type connectTracer struct {
	noQueries
	t    *track
	dial *dial
}

// TraceConnectStart implements pgx.ConnectTracer.
func (connectTracer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (c connectTracer) TraceConnectEnd(_ context.Context, end pgx.TraceConnectEndData) {
	if end.Err == nil && c.dial.prepares {
		c.t.putPreparing(end.Conn, c.dial)
		return
	}
	c.t.endDial(c.dial, end.Err)
}
