package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	runtimemetrics "go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/health"
	"github.com/poolgauge/poolgauge/collector/summary"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/config"
)

// flushTime is how long the last points may take to leave: Kubernetes may give a sidecar no more than two seconds.
const flushTime = 1200 * time.Millisecond

const scope = "github.com/poolgauge/poolgauge/cmd/sidecar"

// runSidecar samples and probes until the context is done.
func runSidecar(c *cobra.Command, settings *config.Settings) error {
	ctx, log := c.Context(), newLogger(settings, c.ErrOrStderr())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry", "error", err) }))
	if settings.SDKDisabled {
		log.Info("OTEL_SDK_DISABLED is set: nothing is sampled")
		<-ctx.Done()
		return nil
	}
	saveMemory()
	return serve(ctx, settings, c.OutOrStdout(), log)
}

// saveMemory trades a little latency for a small footprint, unless the user decided otherwise.
func saveMemory() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
}

// serve wires the one pipeline: sources and probes record into the SDK, the sampler collects, the sinks hand on.
func serve(ctx context.Context, settings *config.Settings, out io.Writer, log *slog.Logger) (err error) {
	resource, err := export.Resource(ctx, settings, buildVersion())
	if err != nil {
		return err
	}
	reader := export.NewReader(settings)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(resource))
	meter := provider.Meter(scope)
	if _, err := collector.Register(meter, log, sources(settings)...); err != nil {
		return err
	}
	if err := runtimemetrics.Start(runtimemetrics.WithMeterProvider(provider)); err != nil {
		return fmt.Errorf("runtime metrics: %w", err)
	}

	var sinks []export.Sink
	ready := func() error { return nil }
	if settings.SendsOTLP() {
		exporter, err := newExporter(settings, provider, log)
		if err != nil {
			return err
		}
		defer shutDown(exporter, &err)
		sinks, ready = append(sinks, exporter.Push), exporter.Ready
		log.Info("sending", "endpoint", settings.EndpointURL(), "interval", settings.Interval)
	}
	if settings.ShowsSummary() {
		fmt.Fprintf(out, "No OTLP endpoint is set, so here is what the sidecar sees, every %v. To send it somewhere:\n"+
			"  OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4317 sidecar\n\n", settings.Interval)
		sinks = append(sinks, summary.New(out).Show)
	}
	sampler := export.NewSampler(reader, settings.Interval, sinks...)
	if settings.HealthAddress != "" {
		server, err := health.Listen(ctx, settings.HealthAddress, sampler.Alive, ready)
		if err != nil {
			return err
		}
		defer server.Close() //nolint:errcheck // there is nobody left to tell
	}
	sampler.Run(ctx)
	return nil
}

// sources are what is sampled; each is absent where the system has no such thing.
func sources(settings *config.Settings) []collector.Named {
	var named []collector.Named
	if settings.Host {
		named = append(named, collector.Named{Name: "host", Group: catalog.Host, Source: collector.NewHost()})
	}
	return named
}

func newExporter(settings *config.Settings, provider *sdkmetric.MeterProvider, log *slog.Logger) (*export.Exporter, error) {
	upstream, err := export.DialGRPC(settings)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	return export.NewExporter(upstream, settings.ExportTimeout, provider.Meter(scope), log)
}

func shutDown(exporter *export.Exporter, err *error) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	*err = errors.Join(*err, exporter.Shutdown(ctx))
}

func newLogger(settings *config.Settings, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(settings.LogLevel)) // the setting has checked it
	options := &slog.HandlerOptions{Level: level}
	if settings.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
