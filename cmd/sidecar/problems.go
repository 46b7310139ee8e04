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

// problems logs and counts the errors that the sidecar tolerates. It is safe for concurrent use.
type problems struct {
	keepRunning bool
	log         *slog.Logger
	count       atomic.Int64
}

// tolerate returns err if it must end the program. Otherwise it logs and counts err and returns
// nil. An address that is in use never ends the program.
func (p *problems) tolerate(err error) error {
	var taken *receive.ListenError
	switch {
	case errors.As(err, &taken) && errors.Is(err, syscall.EADDRINUSE):
		p.count.Add(1)
		p.log.Warn(
			"address in use: not listening",
			"receiver",
			taken.Receiver,
			"setting",
			taken.Setting,
			"address",
			taken.Address,
			"used_by",
			source.Listener(taken.Address),
		)
		return nil
	case err == nil || !p.keepRunning:
		return err
	}
	p.count.Add(1)
	p.log.Error("continuing despite a problem", "error", err)
	return nil
}

// observe registers the metric for the number of problems.
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
