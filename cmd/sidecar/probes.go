package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/collector/probe"
	"github.com/poolgauge/poolgauge/internal/certfile"
)

// startProbes starts the probes that the settings enable. The probes stay within the sidecar's own
// CPU quota.
func startProbes(settings *config.Settings, meter metric.Meter, log *slog.Logger) (*probe.Runner, error) {
	tlsConfig, err := probeTLS(settings)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	for name, v := range settings.ProbeHTTPHeaders {
		header.Set(name, v)
	}
	quota := cgroup.NewQuota(settings.CgroupRoot)
	return probe.Start(meter, log, probe.Config{
		CPUInterval:         orOff(settings.ProbeCPUInterval),
		ParallelismInterval: orOff(settings.ProbeParallelismInterval),
		EffectiveCPUs:       quota.EffectiveCPUs,
		DiskDir:             probeDir(settings),
		DiskInterval:        orOff(settings.ProbeDiskInterval),
		TCP:                 targets(settings.ProbeTCP, settings.ProbeTCPInterval, settings.ProbeTimeout),
		DNS:                 targets(settings.ProbeDNS, settings.ProbeDNSInterval, settings.ProbeTimeout),
		HTTP:                targets(settings.ProbeHTTP, settings.ProbeHTTPInterval, settings.ProbeTimeout),
		GRPC:                targets(settings.ProbeGRPC, settings.ProbeGRPCInterval, settings.ProbeTimeout),
		Expect: probe.Expectation{
			Header: header,
			Status: settings.ProbeHTTPStatus,
			Body:   settings.ProbeHTTPBody,
		},
		TLS:       tlsConfig,
		Budget:    settings.ProbeBudget / 100,
		Throttled: quota.Throttled,
	})
}

// probeTLS returns the probes' TLS configuration: which server certificates they accept.
func probeTLS(settings *config.Settings) (probe.TLSConfig, error) {
	c := probe.TLSConfig{SkipVerify: settings.ProbeSkipVerify}
	if settings.ProbeCertificate == "" {
		return c, nil
	}
	var err error
	if c.Roots, err = certfile.Pool(settings.ProbeCertificate); err != nil {
		return c, fmt.Errorf("--probe-certificate: %w", err)
	}
	return c, nil
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

// stopProbes stops probes, which is nil if they could not be started.
func stopProbes(probes *probe.Runner, log *slog.Logger) {
	if probes == nil {
		return
	}
	if err := probes.Close(); err != nil {
		log.Warn("failed to stop probes", "error", err)
	}
}
