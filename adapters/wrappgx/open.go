package wrappgx

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/poolgauge/poolgauge/instrument"
)

// NewWithConfig is [pgxpool.NewWithConfig] for a pool that is reported under a name, until the
// Registration is closed. It tells more than [Pool], by the tracers of pgx, beside which those of
// config are called as before:
//
//   - requests by how they end: acquired, also where no connection could be made (and completed as
//     an error), canceled, timeout and closed,
//   - the wait of each for a connection, without the time in which one is made for it; how many
//     wait now, and since when,
//   - connections made, and how long that took, with BeforeConnect and AfterConnect; those that
//     could not be made, by the type of error; and those that are being made, be it for a request
//     that has given up,
//   - uses, from Acquire to Release, how long each was, how long the oldest has lasted, and whether
//     the connection could be used again (ok) or was closed (error). One that was hijacked is used
//     no longer when a collection finds out,
//   - connections closed, by reason: max_lifetime, max_idle_time, broken, and other, such as when
//     the pool is closed.
//
// Connections that AcquireAllIdle returns count when they are released. A use costs two locks and
// two readings of the clock, and a query two calls of a tracer that does nothing.
func NewWithConfig(
	ctx context.Context,
	name string,
	config *pgxpool.Config,
	opts ...instrument.Option,
) (*pgxpool.Pool, *instrument.Registration, error) {
	if config == nil {
		return nil, nil, fmt.Errorf("pgx pool %q: the config is nil: want one of pgxpool.ParseConfig", name)
	}
	t := newTrack(opts)
	if !instrument.TimingOf(opts...).Off {
		config = t.follow(config)
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

// follow returns a config whose pool t sees.
func (t *track) follow(config *pgxpool.Config) *pgxpool.Config {
	config = config.Copy()
	theirs := config.ConnConfig.Tracer
	config.ConnConfig.Tracer = beside(theirs, leaseTracer{t: t})
	before, after, beforeClose := config.BeforeConnect, config.AfterConnect, config.BeforeClose
	config.BeforeConnect = func(ctx context.Context, c *pgx.ConnConfig) (err error) {
		d := t.begin(ctx, after != nil)
		if before != nil {
			if err = before(ctx, c); err != nil {
				t.made(d, err)
				return err
			}
		}
		c.Tracer = beside(c.Tracer, connectTracer{t: t, dial: d})
		return nil
	}
	if after != nil {
		config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
			err := after(ctx, c)
			t.made(t.connectedAs(c), err)
			return err
		}
	}
	config.BeforeClose = func(c *pgx.Conn) {
		t.closing()
		if beforeClose != nil {
			beforeClose(c)
		}
	}
	return config
}

func beside(theirs, ours pgx.QueryTracer) pgx.QueryTracer {
	if theirs == nil {
		return ours
	}
	return multitracer.New(theirs, ours)
}

// noQueries is what every tracer must be.
type noQueries struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (noQueries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (noQueries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// leaseTracer sees connections acquired and released.
type leaseTracer struct {
	noQueries
	t *track
}

type askedKey struct{}

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (l leaseTracer) TraceAcquireStart(
	ctx context.Context,
	_ *pgxpool.Pool,
	_ pgxpool.TraceAcquireStartData,
) context.Context {
	return context.WithValue(ctx, askedKey{}, l.t.ask(ctx))
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (l leaseTracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, end pgxpool.TraceAcquireEndData) {
	a, _ := ctx.Value(askedKey{}).(*asked)
	l.t.got(ctx, a, end.Conn, end.Err)
}

// TraceRelease implements pgxpool.ReleaseTracer.
func (l leaseTracer) TraceRelease(_ *pgxpool.Pool, data pgxpool.TraceReleaseData) {
	l.t.release(data.Conn)
}

// connectTracer sees one connection made.
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
		c.t.connected(end.Conn, c.dial)
		return
	}
	c.t.made(c.dial, end.Err)
}
