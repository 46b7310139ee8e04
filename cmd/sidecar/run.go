package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

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
	"github.com/poolgauge/poolgauge/collector/page"
	"github.com/poolgauge/poolgauge/collector/source"
	"github.com/poolgauge/poolgauge/collector/summary"
	"github.com/poolgauge/poolgauge/internal/goroutines"
)

const scope = "github.com/poolgauge/poolgauge/cmd/sidecar"

// runSidecar samples and probes until the context is done.
func runSidecar(c *cobra.Command, settings *config.Settings) error {
	direct := newLogger(settings, c.ErrOrStderr())
	lines := newLines(c.ErrOrStderr(), func(dropped int64) {
		direct.Warn("lines of the log were dropped: standard error was not read", "lines", dropped)
	})
	defer lines.close()
	ctx, log := c.Context(), newLogger(settings, lines)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry", "error", err) }))
	trouble := &problems{borne: settings.KeepRunning, log: log}
	for _, problem := range settings.Problems {
		_ = trouble.bear(problem) // which is when there are any
	}
	if settings.SDKDisabled {
		return idle(ctx, settings, trouble)
	}
	saveMemory(settings, log)
	return serve(ctx, settings, c.OutOrStdout(), trouble, lines.dropped.Load, func(string) {})
}

// idle is alive and does nothing else.
func idle(ctx context.Context, settings *config.Settings, trouble *problems) error {
	well := func() (string, error) { return "", nil }
	server, err := listen(ctx, settings, trouble, well, well)
	if err != nil {
		return err
	}
	defer server.Close()
	trouble.log.Info("OTEL_SDK_DISABLED is set: nothing is sampled")
	<-ctx.Done()
	return nil
}

// serve wires the one pipeline: sources and probes record into the SDK, the sampler collects, the
// sinks hand on. begun is told the page's URL, "" if there is none, once points are taken.
func serve(
	ctx context.Context,
	settings *config.Settings,
	out io.Writer,
	trouble *problems,
	dropped func() int64,
	begun func(page string),
) error {
	log := trouble.log
	pod, err := openPod(settings, trouble)
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
	picture := live.New(
		live.Config{
			Limit:    settings.LiveSize,
			Service:  nameOf(resource),
			Upstream: destination(settings),
			Neighbor: pod.Neighbor,
		},
	)
	defer keep(settings, picture, log)()
	if err := errors.Join(trouble.observe(provider.Meter(scope)), picture.Observe(provider.Meter(scope))); err != nil {
		return err
	}
	points, err := startRelay(ctx, settings, resource, provider, picture.Offer, trouble, dropped)
	if err != nil {
		return err
	}
	defer shutDown(points, log)
	sinks := []collector.Sink{picture.Collect, followNeighbor(pod, whereabouts(resource), points, log)}
	ready := func() (string, error) { return "", nil }
	if settings.SendsOTLP() {
		if settings.Sends(otlp.Metrics) {
			sinks = append(sinks, points.Push)
		}
		ready = points.Ready
		log.Info("sending", "to", destinations(settings), "interval", settings.Interval)
	}
	shown, url := servePage(ctx, settings, picture, provider.Meter(scope), log)
	defer shown.Close()
	begun(url)
	if settings.ShowsSummary() {
		terminal := summary.Start(out, hasColours(out))
		defer terminal.Close()
		sinks = append(sinks, func(*metricdata.ResourceMetrics) { terminal.Show(picture.Picture()) })
		greet(out, settings, url)
	}
	sampler := collector.NewSampler(reader, settings.Interval, sinks...)
	alive := func() (string, error) { return "", errors.Join(sampler.Alive(), points.Alive()) }
	server, err := listen(ctx, settings, trouble, alive, ready)
	if err != nil {
		return err
	}
	defer server.Close()
	probes, err := startProbes(settings, provider.Meter(scope), log)
	if err := trouble.bear(err); err != nil {
		return err
	}
	sampler.Run(ctx)
	endProbes(probes, log)
	return nil
}

// newProvider returns what all instruments come from, those of the runtime among them.
func newProvider(reader sdkmetric.Reader, resource *resource.Resource) (*sdkmetric.MeterProvider, error) {
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(reader), sdkmetric.WithResource(resource),
		// There are no traces to point to, and looking for them takes two thirds of a collection's
		// memory.
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter),
	)
	if err := runtimemetrics.Start(runtimemetrics.WithMeterProvider(provider)); err != nil {
		return nil, fmt.Errorf("runtime metrics: %w", err)
	}
	if err := goroutines.Start(provider.Meter(scope)); err != nil {
		return nil, fmt.Errorf("runtime metrics: %w", err)
	}
	return provider, nil
}

// keep lets the history survive a restart, where there is a place for it, until the function that
// it returns is called.
func keep(settings *config.Settings, picture *live.Live, log *slog.Logger) (end func()) {
	if settings.QueueDir == "" {
		return func() {}
	}
	return picture.Keep(settings.QueueDir, func(err error) { log.Warn("the history of the page", "error", err) }).Close
}

// servePage serves the page, unless that is off, and returns its URL. It is for people: what keeps
// it from being served is said, and is no reason to stop.
func servePage(
	ctx context.Context,
	settings *config.Settings,
	picture *live.Live,
	meter metric.Meter,
	log *slog.Logger,
) (_ io.Closer, url string) {
	if settings.PageAddress == "" {
		return io.NopCloser(nil), ""
	}
	server, err := page.Listen(
		ctx,
		page.Config{Address: settings.PageAddress, Hosts: settings.PageHosts, Live: picture},
	)
	if err != nil {
		log.Warn("no page", "error", err, "by", source.Listener(settings.PageAddress))
		return io.NopCloser(nil), ""
	}
	if err := server.Observe(meter); err != nil {
		log.Warn("page", "error", err)
	}
	url = "http://" + server.Addr().String()
	log.Debug("page", "url", url)
	return server, url
}

// openPod finds the pod's control groups: where they are mounted, if not where the settings say.
func openPod(settings *config.Settings, trouble *problems) (*source.Pod, error) {
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
	if err := trouble.bear(fmt.Errorf("--cgroup-root: %w", err)); err != nil {
		return nil, err
	}
	c.CgroupRoot = ""
	return source.NewPod(c)
}

func greet(out io.Writer, settings *config.Settings, page string) {
	fmt.Fprintf(out, "Here is what the sidecar sees, every %v", settings.Interval)
	if page != "" {
		fmt.Fprintf(out, ", and on a page: %s", page)
	}
	if !settings.SendsOTLP() {
		fmt.Fprint(out, "\nTo send it somewhere:  OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4317 sidecar")
	}
	fmt.Fprint(out, "\n\n")
}

// hasColours reports whether out is a terminal on which colours are wanted (https://no-color.org).
func hasColours(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// listen starts the health server, unless that is off.
func listen(
	ctx context.Context,
	settings *config.Settings,
	trouble *problems,
	live, ready health.Check,
) (io.Closer, error) {
	if settings.HealthAddress == "" {
		return io.NopCloser(nil), nil
	}
	server, err := health.Listen(ctx, settings.HealthAddress, live, ready)
	if err != nil {
		return io.NopCloser(nil), trouble.bear(err)
	}
	trouble.log.Debug("health", "address", server.Addr().String())
	return server, nil
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
