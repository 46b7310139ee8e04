package prometheus

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wraphttp"
	"github.com/poolgauge/poolgauge/instrument/wrapsql"
	"github.com/poolgauge/poolgauge/pools"
)

// Most of the apps below are healthy until the onset of their fault.

// pastOnset reports whether the fault of an app that started at began has set in. It returns false
// once ctx is done.
func pastOnset(ctx context.Context, began time.Time) bool {
	return ctx.Err() == nil && time.Since(began) >= onset
}

// saturated runs a semaphore that is 97% busy, and whose callers have no deadline.
func saturated(ctx context.Context, meters instrument.Option) {
	s := semaphore("faulty", 8, meters)
	defer s.Close()
	requests(
		ctx,
		128*time.Millisecond,
		func(x float64) { hold(context.Background(), s, time.Duration(x*float64(time.Second))) },
	)
}

// bursts sends bursts of 40 requests to a pool of 8 slots that is idle between them.
func bursts(ctx context.Context, meters instrument.Option) {
	s := semaphore("faulty", 8, meters)
	defer s.Close()
	for wait(ctx, 10*time.Second) {
		for range 40 {
			go hold(ctx, s, 100*time.Millisecond)
		}
	}
	time.Sleep(time.Second) // until the last requests have completed
}

// hangs runs a semaphore whose holders hang, and whose callers have no deadline.
func hangs(ctx context.Context, meters instrument.Option) {
	s := semaphore("faulty", 8, meters)
	defer s.Close()
	began := time.Now()
	requests(ctx, time.Second, func(float64) {
		if s.Acquire(ctx, 1) == nil {
			if pastOnset(ctx, began) {
				<-ctx.Done()
			}
			s.Release(1)
		}
	})
}

// deadlock runs a database whose transactions each need a second connection. Together they hold all
// connections and wait forever.
func deadlock(ctx context.Context, meters instrument.Option) {
	db := sql.OpenDB(new(database))
	db.SetMaxOpenConns(5)
	r, err := wrapsql.DB("faulty", db, meters)
	must(err)
	began := time.Now()
	defer r.Close()
	defer func() { _ = db.Close() }()
	requests(ctx, time.Second, func(float64) {
		if time.Since(began) > onset+2*time.Minute {
			return // the clients have given up too
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return
		}
		if pastOnset(ctx, began) {
			time.Sleep(3 * time.Second)
			if c, err := db.Conn(ctx); err == nil {
				_ = c.Close()
			}
		}
		_ = tx.Rollback()
	})
}

// down runs a database that breaks its connections and accepts no new ones.
func down(ctx context.Context, meters instrument.Option) {
	server := new(database)
	db, err := wrapsql.OpenDB("faulty", server, meters)
	must(err)
	defer func() { _ = db.Close() }()
	began := time.Now()
	requests(ctx, time.Second, func(float64) {
		server.down = pastOnset(ctx, began)
		_, _ = db.ExecContext(ctx, "x")
	})
}

// database is a driver for an empty database.
type database struct{ down bool }

func (d *database) Connect(context.Context) (driver.Conn, error) {
	if d.down {
		return nil, errors.New("connection refused")
	}
	return connection{d}, nil
}
func (d *database) Driver() driver.Driver { return nil }

type connection struct{ db *database }

func (c connection) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }
func (c connection) Close() error                        { return nil }
func (c connection) Begin() (driver.Tx, error)           { return c, nil }
func (c connection) Commit() error                       { return nil }
func (c connection) Rollback() error                     { return nil }
func (c connection) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	if c.db.down {
		return nil, driver.ErrBadConn
	}
	return driver.ResultNoRows, nil
}

// resources returns an app with a pool of eight resources. Twice a second, a request acquires a
// resource, uses it for 100 ms and destroys it, so that it has to be created again. Requests have a
// deadline of 5 s.
func resources(construct func(pastOnset bool) error) app {
	return func(ctx context.Context, meters instrument.Option) {
		began := time.Now()
		p, err := pools.NewResources("faulty", 8, func(ctx context.Context) (int, error) {
			return 0, construct(pastOnset(ctx, began))
		}, pools.ResourcesConfig[int]{}, meters)
		must(err)
		defer p.Close()
		requests(ctx, 500*time.Millisecond, func(float64) {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if lease, err := p.Acquire(ctx); err == nil {
				time.Sleep(100 * time.Millisecond)
				lease.Destroy()
			}
		})
	}
}

var (
	refusing = resources(func(pastOnset bool) error {
		if pastOnset {
			return errors.New("too many connections")
		}
		return nil
	})
	unreachable = resources(func(pastOnset bool) error {
		if !pastOnset {
			return nil
		}
		time.Sleep(3 * time.Second)
		return os.ErrDeadlineExceeded
	})
)

// workers returns an app with eight workers and a queue of 16 tasks, which receives ten tasks a
// second.
func workers(task func(pastOnset bool) error) app {
	return func(ctx context.Context, meters instrument.Option) {
		began := time.Now()
		quiet := func(*pools.PanicError) {}
		p, err := pools.NewWorkers("faulty", 8, pools.WorkersConfig{Queue: 16, OnPanic: quiet}, meters)
		must(err)
		defer p.Close()
		requests(ctx, 100*time.Millisecond, func(float64) {
			_ = p.TrySubmit(func(context.Context) error { return task(pastOnset(ctx, began)) })
		})
	}
}

var (
	failing = workers(func(pastOnset bool) error {
		if pastOnset {
			return errors.New("no such table")
		}
		return nil
	})
	panicking = workers(func(pastOnset bool) error {
		if pastOnset {
			panic("nil map")
		}
		return nil
	})
	rejecting = workers(func(pastOnset bool) error {
		if pastOnset {
			time.Sleep(2 * time.Second)
		}
		return nil
	})
	slower = workers(func(pastOnset bool) error { // with room left
		if pastOnset {
			time.Sleep(400 * time.Millisecond)
		}
		return nil
	})
)

// timingOut runs a semaphore with twice the work that it can handle, whose callers wait for at most
// half a second.
func timingOut(ctx context.Context, meters instrument.Option) {
	s := semaphore("faulty", 8, meters)
	defer s.Close()
	began := time.Now()
	requests(ctx, 100*time.Millisecond, func(float64) {
		patience, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		if pastOnset(ctx, began) {
			hold(patience, s, 1600*time.Millisecond)
		} else {
			hold(patience, s, 100*time.Millisecond)
		}
	})
}

// headOfLine runs a semaphore with one permit held and a request for all permits, behind which all
// later requests wait.
func headOfLine(ctx context.Context, meters instrument.Option) {
	s := semaphore("faulty", 8, meters)
	defer s.Close()
	began := time.Now()
	asked := false
	requests(ctx, time.Second, func(float64) {
		if !asked && pastOnset(ctx, began) {
			asked = true
			must(s.Acquire(context.Background(), 1))
			if s.Acquire(ctx, 8) == nil {
				s.Release(8)
			}
			s.Release(1)
			return
		}
		hold(ctx, s, 100*time.Millisecond)
	})
}

// tooLarge runs a semaphore whose requests need more permits than there are. They wait forever,
// although all permits are free.
func tooLarge(ctx context.Context, meters instrument.Option) {
	s := semaphore("faulty", 8, meters)
	defer s.Close()
	began := time.Now()
	requests(ctx, time.Second, func(float64) {
		if pastOnset(ctx, began) {
			_ = s.Acquire(ctx, 9)
		}
	})
}

// fullListener runs a listener with 8 clients that stay connected forever, and more that try to
// connect.
func fullListener(ctx context.Context, meters instrument.Option) {
	l, err := wraphttp.Listener("faulty", clients{ctx}, 8, meters)
	must(err)
	began := time.Now()
	go func() {
		<-ctx.Done()
		_ = l.Close()
	}()
	var staying []net.Conn
	for {
		c, err := l.Accept()
		if err != nil {
			break
		}
		if pastOnset(ctx, began) {
			staying = append(staying, c)
		} else {
			_ = c.Close()
		}
	}
	for _, c := range staying {
		_ = c.Close()
	}
}

// clients is a listener that accepts a connection every second.
type clients struct{ ctx context.Context }

func (l clients) Accept() (net.Conn, error) {
	if !wait(l.ctx, time.Second) {
		return nil, net.ErrClosed
	}
	here, there := net.Pipe()
	return here, there.Close()
}
func (clients) Close() error   { return nil }
func (clients) Addr() net.Addr { return &net.TCPAddr{} }

// fullHost reports the values of an http.Transport with 20 hosts and up to 5 connections to each.
// From the onset on, all connections to one host are in use, and requests wait for them.
func fullHost(ctx context.Context, meters instrument.Option) {
	began := time.Now()
	r, err := instrument.Observe("faulty", wraphttp.Kind, func() (s instrument.Stats) {
		for host := range int64(20) {
			used, waiting := int64(1), int64(0)
			if host == 7 && pastOnset(ctx, began) {
				used, waiting = 5, 3
			}
			elapsed := time.Since(began).Seconds()
			served := int64(elapsed)
			var stats instrument.Stats
			stats.Limit, stats.Pending = instrument.Some[int64](5), instrument.Some(waiting)
			stats.Usage[instrument.Used] = instrument.Some(used)
			stats.Requests[instrument.Acquired], stats.Completed[instrument.OK] = instrument.Some(
				served,
			), instrument.Some(
				max(0, served-used),
			)
			s.Parts = append(s.Parts, instrument.Part{
				Attributes: []attribute.KeyValue{
					semconv.ServerAddress(fmt.Sprintf("host-%d", host)),
					semconv.ServerPort(443),
					semconv.URLScheme("https"),
				},
				Stats: stats,
			})
		}
		return s
	}, meters)
	must(err)
	defer r.Close()
	<-ctx.Done()
}

// leaking runs a pool of 60 resources that leaks a lease every three minutes.
func leaking(ctx context.Context, meters instrument.Option) {
	p, err := pools.NewResources(
		"faulty",
		60,
		func(context.Context) (int, error) { return 0, nil },
		pools.ResourcesConfig[int]{},
		meters,
	)
	must(err)
	last := time.Now()
	var lost []pools.Lease[int]
	defer func() {
		for _, l := range lost {
			l.Release()
		}
		p.Close()
	}()
	requests(ctx, 250*time.Millisecond, func(x float64) {
		lease, err := p.Acquire(ctx)
		if err != nil {
			return
		}
		if time.Since(last) > 3*time.Minute {
			lost, last = append(lost, lease), time.Now()
			return
		}
		time.Sleep(time.Duration(x * float64(2*time.Second)))
		lease.Release()
	})
}
