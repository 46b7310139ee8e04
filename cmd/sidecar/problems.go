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
// nil. It always tolerates a relay address that is in use, and any other error only with
// keepRunning.
func (p *problems) tolerate(err error) error {
	var listenErr *receive.ListenError
	switch {
	case errors.As(err, &listenErr) && errors.Is(err, syscall.EADDRINUSE):
		p.count.Add(1)
		p.log.Warn(
			"address in use: not listening",
			"receiver",
			listenErr.Receiver,
			"setting",
			listenErr.Setting,
			"address",
			listenErr.Address,
			"used_by",
			source.Listener(listenErr.Address),
		)
		return nil
	case err == nil || !p.keepRunning:
		return err
	}
	p.count.Add(1)
	p.log.Error("continuing despite a problem", "error", err)
	return nil
}

// observe registers the metric that reports the number of problems.
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
