package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"syscall"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/collector/receive"
	"github.com/poolgauge/poolgauge/collector/source"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
)

// problems are what the sidecar goes on without, if it is to keep running: each is said and
// counted. Its methods are safe for concurrent use.
type problems struct {
	borne bool
	log   *slog.Logger
	count atomic.Int64
}

// bear returns the error, which ends the program, or nil once it is noted. That another process
// takes an app's points is never a reason to end.
func (p *problems) bear(err error) error {
	var taken *receive.ListenError
	switch {
	case errors.As(err, &taken) && errors.Is(err, syscall.EADDRINUSE):
		p.count.Add(1)
		p.log.Warn(
			"the address is in use: nothing is taken there",
			"receiver",
			taken.Receiver,
			"setting",
			taken.Setting,
			"address",
			taken.Address,
			"by",
			source.Listener(taken.Address),
		)
		return nil
	case err == nil || !p.borne:
		return err
	}
	p.count.Add(1)
	p.log.Error("going on without", "problem", err)
	return nil
}

// observe reports how many there are.
func (p *problems) observe(meter metric.Meter) error {
	observed, err := instruments.NewObservables(meter, catalog.SidecarProblems)
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		observed.Int(o, catalog.SidecarProblems, p.count.Load())
		return nil
	}, observed.All...)
	return err
}
