package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	runtimemetrics "go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/health"
	"github.com/poolgauge/poolgauge/collector/live"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/source"
	"github.com/poolgauge/poolgauge/collector/summary"
	"github.com/poolgauge/poolgauge/internal/goroutines"
)

const scope = "github.com/poolgauge/poolgauge/cmd/sidecar"

// runSidecar runs the sidecar until the context is done.
func runSidecar(c *cobra.Command, settings *config.Settings) error {
	direct := newLogger(settings, c.ErrOrStderr())
	lines := newLineWriter(c.ErrOrStderr(), func(dropped int64) {
		direct.Warn("log lines dropped: standard error was not read fast enough", "lines", dropped)
	})
	defer lines.close()
	ctx, log := c.Context(), newLogger(settings, lines)
	otel.SetErrorHandler(
		otel.ErrorHandlerFunc(func(err error) { log.Warn("OpenTelemetry reported an error", "error", err) }),
	)
	found := &problems{keepRunning: settings.KeepRunning, log: log}
	for _, problem := range settings.Problems {
		_ = found.tolerate(problem) // there are no problems unless KeepRunning is set
	}
	if settings.SDKDisabled {
		return idle(ctx, settings, found)
	}
	limitMemory(settings, log)
	return serve(ctx, settings, c.OutOrStdout(), found, lines.dropped.Load, func(string) {})
}

// idle only serves the health endpoints, until the context is done.
func idle(ctx context.Context, settings *config.Settings, found *problems) error {
	ok := func() (string, error) { return "", nil }
	server, err := listenHealth(ctx, settings, found, ok, ok)
	if err != nil {
		return err
	}
	defer server.Close()
	found.log.Info("OTEL_SDK_DISABLED or --sdk-disabled is set: nothing is served except the health endpoints")
	<-ctx.Done()
	return nil
}

// serve builds the pipeline and runs it until the context is done: sources and probes record into
// the SDK, the sampler collects from the SDK, and each sink gets every collection. Once the relay
// and the page accept connections, serve calls started with the page's URL, or with "" if there is
// no page.
func serve(
	ctx context.Context, settings *config.Settings, out io.Writer, found *problems, dropped func() int64,
	started func(page string),
) error {
	log := found.log
	pod, err := openPod(settings, found)
	if err != nil {
		return err
	}
	defer pod.Close()
	resource, err := newResource(ctx, settings, pod.ContainerID())
	if err != nil {
		return err
	}
	reader := newReader(settings, newSources(settings, pod, log))
	provider, err := newProvider(reader, resource)
	if err != nil {
		return err
	}
	meter := provider.Meter(scope)
	picture := live.New(live.Config{
		Limit: settings.LiveSize, Service: nameOf(resource), Upstream: destination(settings), Neighbor: pod.Neighbor,
	})
	defer keepHistory(settings, picture, log)()
	if err := errors.Join(found.observe(meter), picture.Observe(meter)); err != nil {
		return err
	}
	app, err := startRelay(ctx, settings, resource, meter, picture.Offer, found, dropped)
	if err != nil {
		return err
	}
	defer shutDown(app, log)
	sinks := []collector.Sink{picture.Collect, followNeighbor(pod, sharedAttributes(resource), app, log)}
	ready := func() (string, error) { return "", nil }
	if settings.SendsOTLP() {
		if settings.Sends(otlp.Metrics) {
			sinks = append(sinks, app.Push)
		}
		ready = app.Ready
		log.Info("sending telemetry", "to", destinations(settings), "interval", settings.Interval)
	}
	page, url := servePage(ctx, settings, picture, meter, log)
	defer page.Close()
	started(url)
	if settings.ShowsSummary() {
		terminal := summary.Start(out, wantsColors(out))
		defer terminal.Close()
		sinks = append(sinks, func(*metricdata.ResourceMetrics) { terminal.Show(picture.Picture()) })
		greet(out, settings, url)
	}
	sampler := collector.NewSampler(reader, settings.Interval, sinks...)
	alive := func() (string, error) { return "", errors.Join(sampler.Alive(), app.Alive()) }
	return sample(ctx, settings, found, meter, sampler, alive, ready)
}

// sample starts the health endpoints and the probes, and samples until the context is done.
func sample(
	ctx context.Context, settings *config.Settings, found *problems, meter metric.Meter, sampler *collector.Sampler,
	alive, ready health.Check,
) error {
	server, err := listenHealth(ctx, settings, found, alive, ready)
	if err != nil {
		return err
	}
	defer server.Close()
	probes, err := startProbes(settings, meter, found.log)
	if err := found.tolerate(err); err != nil {
		return err
	}
	sampler.Run(ctx)
	stopProbes(probes, found.log)
	return nil
}

// newProvider returns the MeterProvider of the sidecar's own metrics, including those of Go's
// runtime.
func newProvider(reader sdkmetric.Reader, resource *resource.Resource) (*sdkmetric.MeterProvider, error) {
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(reader), sdkmetric.WithResource(resource),
		// The sidecar has no traces that exemplars could refer to, and looking for traces takes two
		// thirds of a collection's memory.
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter),
	)
	if err := runtimemetrics.Start(runtimemetrics.WithMeterProvider(provider)); err != nil {
		return nil, fmt.Errorf("cannot start the metrics of Go's runtime: %w", err)
	}
	if err := goroutines.Start(provider.Meter(scope)); err != nil {
		return nil, fmt.Errorf("cannot start the goroutine metrics: %w", err)
	}
	return provider, nil
}

// keepHistory loads the page's history from the queue's directory and saves it there, so that it
// survives a restart. The caller must call stop.
func keepHistory(settings *config.Settings, picture *live.Live, log *slog.Logger) (stop func()) {
	if settings.QueueDir == "" {
		return func() {}
	}
	failed := func(err error) { log.Warn("cannot load or save the web page's history", "error", err) }
	return picture.Keep(settings.QueueDir, failed).Close
}

// openPod opens the cgroups of the pod. If the settings' cgroup root is unusable and that error is
// tolerated, it uses the default root.
func openPod(settings *config.Settings, found *problems) (*source.Pod, error) {
	c := source.PodConfig{
		Self:           programName,
		Container:      settings.ResourceAttributes[string(semconv.K8SContainerNameKey)],
		Processes:      settings.Process,
		CgroupRoot:     settings.CgroupRoot,
		SkipHost:       !settings.Host,
		SkipContainers: !settings.Pod,
	}
	pod, err := source.NewPod(c)
	if err == nil {
		return pod, nil
	}
	if err := found.tolerate(fmt.Errorf("--cgroup-root: %w", err)); err != nil {
		return nil, err
	}
	c.CgroupRoot = ""
	return source.NewPod(c)
}
