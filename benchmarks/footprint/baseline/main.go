// Baseline is a minimal Go program that sends host CPU and memory metrics over OTLP/gRPC. It
// consists of OpenTelemetry's SDK and exporter, and gopsutil. It is configured only by the OTEL_*
// environment variables.
package main

import (
	"context"
	"log"
	"os/signal"
	"syscall"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/mem"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	exporter, err := otlpmetricgrpc.New(ctx)
	if err != nil {
		return err
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	if err := observe(provider.Meter("baseline")); err != nil {
		return err
	}
	<-ctx.Done()
	return provider.Shutdown(context.WithoutCancel(ctx))
}

func observe(meter metric.Meter) error {
	times, err := meter.Float64ObservableCounter("system.cpu.time", metric.WithUnit("s"))
	if err != nil {
		return err
	}
	usage, err := meter.Int64ObservableUpDownCounter("system.memory.usage", metric.WithUnit("By"))
	if err != nil {
		return err
	}
	mode := attributes("cpu.mode", "user", "nice", "system", "idle", "iowait", "interrupt", "steal")
	state := attributes("system.memory.state", "used", "free", "cached", "buffers")
	_, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		if ts, err := cpu.TimesWithContext(ctx, false); err == nil && len(ts) == 1 {
			t := ts[0]
			for i, v := range []float64{t.User, t.Nice, t.System, t.Idle, t.Iowait, t.Irq + t.Softirq, t.Steal} {
				o.ObserveFloat64(times, v, mode[i])
			}
		}
		if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
			for i, v := range []uint64{m.Used, m.Free, m.Cached, m.Buffers} {
				o.ObserveInt64(usage, int64(v), state[i])
			}
		}
		return nil
	}, times, usage)
	return err
}

func attributes(key string, values ...string) []metric.ObserveOption {
	sets := make([]metric.ObserveOption, len(values))
	for i, v := range values {
		sets[i] = metric.WithAttributeSet(attribute.NewSet(attribute.String(key, v)))
	}
	return sets
}
