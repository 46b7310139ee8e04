package main

import (
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/probe"
)

// startProbes starts the probes of the settings, within the quota that the sidecar runs under.
func startProbes(settings *config.Settings, meter metric.Meter, log *slog.Logger) (*probe.Runner, error) {
	quota := collector.NewQuota(settings.CgroupRoot)
	return probe.Start(meter, log, probe.Config{
		CPUInterval:         orOff(settings.ProbeCPUInterval),
		ParallelismInterval: orOff(settings.ProbeParallelismInterval),
		EffectiveCPUs:       quota.EffectiveCPUs,
		DiskDir:             probeDir(settings),
		DiskInterval:        orOff(settings.ProbeDiskInterval),
		TCP:                 targets(settings.ProbeTCP, settings.ProbeTCPInterval, settings.ProbeTimeout),
		DNS:                 targets(settings.ProbeDNS, settings.ProbeDNSInterval, settings.ProbeTimeout),
		HTTP:                targets(settings.ProbeHTTP, settings.ProbeHTTPInterval, settings.ProbeTimeout),
		Budget:              settings.ProbeBudget / 100,
		Throttled:           quota.Throttled,
	})
}

func orOff(interval time.Duration) time.Duration {
	if interval == 0 {
		return probe.Off
	}
	return interval
}

func probeDir(settings *config.Settings) string {
	if settings.ProbeDir == "" {
		return os.TempDir()
	}
	return settings.ProbeDir
}

func targets(addresses []string, interval, timeout time.Duration) []probe.Target {
	all := make([]probe.Target, len(addresses))
	for i, address := range addresses {
		all[i] = probe.Target{Address: address, Interval: interval, Timeout: min(timeout, interval)}
	}
	return all
}
