package main

import (
	"context"
	"io"
	"log/slog"
	"net"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector/health"
	"github.com/poolgauge/poolgauge/collector/live"
	"github.com/poolgauge/poolgauge/collector/page"
	"github.com/poolgauge/poolgauge/collector/source"
)

// servePage serves the page, unless it is off, and returns the page's URL. If the page cannot be
// served, servePage only logs the error, since the sidecar works without the page.
func servePage(
	ctx context.Context, settings *config.Settings, picture *live.Live, meter metric.Meter, log *slog.Logger,
) (_ io.Closer, url string) {
	if settings.PageAddress == "" {
		return io.NopCloser(nil), ""
	}
	server, err := page.Listen(ctx, page.Config{
		Address: settings.PageAddress, Hosts: settings.PageHosts, Live: picture,
	})
	if err != nil {
		log.Warn("not serving the web page", "error", err, "used_by", source.Listener(settings.PageAddress))
		return io.NopCloser(nil), ""
	}
	if err := server.Observe(meter); err != nil {
		log.Warn("cannot report metrics about the web page", "error", err)
	}
	url = "http://" + server.Addr().String()
	log.Debug("serving the web page", "url", url)
	return server, url
}

// listenHealth serves the health endpoints, unless they are off.
func listenHealth(
	ctx context.Context, settings *config.Settings, found *problems, live, ready health.Check,
) (io.Closer, error) {
	if settings.HealthAddress == "" {
		return io.NopCloser(nil), nil
	}
	server, err := health.Listen(ctx, settings.HealthAddress, live, ready)
	if err != nil {
		return io.NopCloser(nil), found.tolerate(err)
	}
	found.log.Debug("serving health checks", "address", server.Addr().String())
	return server, nil
}

// isFree reports whether address is free to listen on.
func isFree(ctx context.Context, address string) bool {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}
