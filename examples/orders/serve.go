package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/poolgauge/poolgauge/instrument/telemetry" // poolgauge
	"github.com/poolgauge/poolgauge/instrument/wraphttp"  // poolgauge
	"github.com/poolgauge/poolgauge/instrument/wrapsql"   // poolgauge
	"github.com/poolgauge/poolgauge/pools"
)

// config holds the values of the serve command's flags.
type config struct {
	listen, sqlite, payments       string
	workers, queue, conns, permits int
	admission, drain               time.Duration
	faults                         faults
}

func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.StringVar(&c.listen, "listen", "127.0.0.1:8080", "`address` to listen on")
	flags.StringVar(
		&c.sqlite,
		"sqlite",
		"orders.db",
		"SQLite `file`, unless the variable DATABASE_URL names a PostgreSQL database",
	)
	flags.StringVar(&c.payments, "payments", "", "`URL` of the payment service; if empty, serve runs one itself")
	flags.IntVar(&c.workers, "workers", 8, "maximum number of orders processed at a time")
	flags.IntVar(&c.queue, "queue", 64, "maximum number of orders that wait for a worker")
	flags.IntVar(&c.conns, "db-conns", 4, "maximum number of database connections")
	flags.IntVar(&c.permits, "payment-permits", 4, "maximum number of payments in flight")
	flags.DurationVar(
		&c.admission,
		"admission",
		250*time.Millisecond,
		"how long a request waits for room in the queue before it gets 503",
	)
	flags.DurationVar(
		&c.drain,
		"drain",
		10*time.Second,
		"how long the service waits for accepted orders when it stops",
	)
	c.faults.flags(flags)
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	sizes := map[string]int{
		"workers": c.workers, "queue": c.queue, "db-conns": c.conns, "payment-permits": c.permits,
	}
	for name, n := range sizes {
		if n < 1 {
			return usageError{fmt.Errorf("serve: -%s: expected at least 1, got %d", name, n)}
		}
	}
	return nil
}

// serve runs the service until ctx is done. It then stops the parts in reverse order of their
// start: it stops accepting requests, finishes the accepted orders, and closes the resources that
// orders need. Telemetry stops last, so that the shutdown is reported too.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var cfg config
	if err := cfg.parse(args, stderr); err != nil {
		return err
	}
	var l lifecycle
	defer func() {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.drain)
		defer cancel()
		err = errors.Join(err, l.stop(stopCtx))
	}()
	l.add(telemetry.Start(ctx)) // poolgauge
	s := start(ctx, &l, &cfg)
	if l.err != nil {
		return l.err
	}
	if err := s.resume(ctx); err != nil {
		return err
	}
	listener := listen(ctx, &l, cfg.listen)
	if l.err != nil {
		return l.err
	}
	listener, err = wraphttp.Listener("orders-http", listener, 0) // poolgauge
	if err != nil {
		return err
	}
	failed := serveHTTP(&l, listener, s.handler())
	fmt.Fprintf(stdout, "orders: serving http://%s, payments at %s\n", listener.Addr(), s.payments.url)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// start starts the parts of the service. If a part fails to start, l.err is set, and the caller
// must not use the service.
func start(ctx context.Context, l *lifecycle, cfg *config) *service {
	s := &service{admission: cfg.admission}
	if cfg.payments == "" {
		if listener := listen(ctx, l, "127.0.0.1:0"); listener != nil {
			serveHTTP(l, listener, cfg.faults.handler())
			cfg.payments = "http://" + listener.Addr().String()
		}
	}
	db, err := openStore(ctx, os.Getenv("DATABASE_URL"), cfg.sqlite, cfg.conns)
	l.add(db.close, err)
	if l.err != nil {
		return nil
	}
	s.store = db
	l.addCloser(wrapsql.DB("orders-db", db.DB)) // poolgauge
	permits, err := pools.NewSemaphore("payments", int64(cfg.permits), pools.SemaphoreConfig{})
	l.addCloser(permits, err)
	transport, err := wraphttp.Transport("payments-http", newTransport(cfg.permits)) // poolgauge
	l.addCloser(transport, err)                                                      // poolgauge
	if l.err != nil {
		return nil
	}
	s.payments = newPaymentClient(cfg.payments, permits, transport)
	l.addCloser(s.payments, nil)
	s.printers, err = pools.NewResources(
		"receipt-printers",
		max(1, cfg.workers/2),
		newPrinter,
		pools.ResourcesConfig[*printer]{},
	)
	l.addCloser(s.printers, err)
	s.workers, err = pools.NewWorkers(
		"orders",
		cfg.workers,
		pools.WorkersConfig{Queue: cfg.queue, TaskTimeout: 30 * time.Second},
	)
	if err != nil {
		l.err = errors.Join(l.err, err)
		return nil
	}
	l.addCloser(s.workers, nil) // cancels the tasks that did not finish in time
	l.add(s.workers.Shutdown, nil)
	return s
}

// listen listens on address. If that fails, it returns nil and sets l.err.
func listen(ctx context.Context, l *lifecycle, address string) net.Listener {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		l.err = errors.Join(l.err, err)
		return nil
	}
	return listener
}

// serveHTTP serves h in the background until l stops. If serving fails earlier, failed receives the
// error.
func serveHTTP(l *lifecycle, listener net.Listener, h http.Handler) (failed <-chan error) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	l.add(func(ctx context.Context) error { return errors.Join(server.Shutdown(ctx), server.Close()) }, nil)
	return done
}
