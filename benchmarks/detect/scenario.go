package main

import (
	"context"
	"fmt"
	"os"
)

// probing holds the probe flags of all scenarios: short intervals for short phases, and a budget
// that allows them.
var probing = []string{
	"--probe-budget=5",
	"--probe-cpu-interval=1s",
	"--probe-parallelism-interval=5s",
	"--probe-disk-interval=1s",
}

var (
	stretch  = figure{"`probe.cpu.stretch`, mean", "%.2f", mean("poolgauge.probe.cpu.stretch")}
	runDelay = figure{"`probe.cpu.run_delay`, mean, ms", "%.2f", milliseconds(mean("poolgauge.probe.cpu.run_delay"))}
	hostCPU  = figure{
		"`pressure.stall.time` of the host, cpu some, s/s",
		"%.2f",
		rate(
			"poolgauge.pressure.stall.time",
			"poolgauge.pressure.scope",
			"host",
			"poolgauge.pressure.resource",
			"cpu",
			"poolgauge.pressure.kind",
			"some",
		),
	}
)

// quota runs a busy process with a quota of 0.2 CPUs in another container of the sidecar's pod.
func (b *bench) quota(ctx context.Context) (report, error) {
	p, err := newPod()
	if err != nil {
		return report{}, err
	}
	defer p.remove()
	if err := p.limitCPU(targetID, 2); err != nil {
		return report{}, fmt.Errorf("%w: %w", errSkipped, err)
	}
	stop, err := b.hogs(ctx, 1, p.procs(targetID), anyCPU)
	if err != nil {
		return report{}, err
	}
	defer stop()
	s, err := b.startSidecar(ctx, p.procs(sidecarID), anyCPU, probing...)
	if err != nil {
		return report{}, err
	}
	defer s.stop()
	windows, err := b.phases(ctx,
		func() error { return p.limitCPU(targetID, 0.2) },
		func() error { return p.limitCPU(targetID, 2) })
	if err != nil {
		return report{}, err
	}
	const id = "container.id"
	periods, throttled := rate(
		"poolgauge.cgroup.cpu.periods",
		id,
		targetID,
	), rate(
		"poolgauge.cgroup.cpu.throttled.periods",
		id,
		targetID,
	)
	return s.report(
		"quota: a process that wants one CPU, in a container whose quota falls from 2 to 0.2 CPUs",
		windows,
		0.5,
		figure{"`cgroup.cpu.throttled.periods` / `cgroup.cpu.periods`", "%.2f", ratio(throttled, periods)},
		figure{"`cgroup.cpu.throttled.time`, s/s", "%.2f", rate("poolgauge.cgroup.cpu.throttled.time", id, targetID)},
		figure{"`cgroup.cpu.limit`, CPUs", "%.1f", level("poolgauge.cgroup.cpu.limit", id, targetID)},
		figure{"`container.cpu.time`, s/s", "%.2f", rate("container.cpu.time", id, targetID)},
		figure{"`pressure.stall.time` of the container, cpu some, s/s", "%.2f", rate("poolgauge.pressure.stall.time",
			id, targetID, "poolgauge.pressure.resource", "cpu", "poolgauge.pressure.kind", "some")},
		figure{
			"`process.run_queue.time` of the process, s/s",
			"%.2f",
			rate("poolgauge.process.run_queue.time", id, targetID),
		},
		figure{stretch.what + " (the probe runs in the sidecar's own group)", stretch.format, stretch.value},
	), nil
}

// neighbor runs two busy processes on the sidecar's core.
func (b *bench) neighbor(ctx context.Context) (report, error) {
	if err := awaitQuiet(ctx); err != nil {
		return report{}, err
	}
	const core = 0
	s, err := b.startSidecar(ctx, "", core, probing...)
	if err != nil {
		return report{}, err
	}
	defer s.stop()
	stop := func() {}
	defer func() { stop() }()
	windows, err := b.phases(ctx,
		func() (err error) { stop, err = b.hogs(ctx, 2, "", core); return err },
		func() error { stop(); stop = func() {}; return nil })
	if err != nil {
		return report{}, err
	}
	return s.report("neighbor: two busy processes on the sidecar's core", windows, 3,
		runDelay, stretch, // the first one decides: without neighbors, run delay is 0, while stretch is 1
		figure{"`probe.cpu.parallelism`, CPUs", "%.2f", level("poolgauge.probe.cpu.parallelism")},
		figure{"`probe.cpu.parallelism.requested`, CPUs", "%.0f", level("poolgauge.probe.cpu.parallelism.requested")},
		hostCPU,
	), nil
}

// disk limits the sidecar's cgroup to five writes per second, so that one of two concurrent writes
// has to wait.
func (b *bench) disk(ctx context.Context) (report, error) {
	p, err := newPod()
	if err != nil {
		return report{}, err
	}
	defer p.remove()
	if err := p.limitWrites(sidecarID, b.dir, 0); err != nil {
		return report{}, err
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return report{}, err
	}
	s, err := b.startSidecar(ctx, p.procs(sidecarID), anyCPU, append(probing, "--probe-dir="+b.dir)...)
	if err != nil {
		return report{}, err
	}
	defer s.stop()
	windows, err := b.phases(ctx,
		func() error { return p.limitWrites(sidecarID, b.dir, 5) },
		func() error { return p.limitWrites(sidecarID, b.dir, 0) })
	if err != nil {
		return report{}, err
	}
	phase := func(name string) figure {
		return figure{
			"`probe.duration` of the disk, " + name + ", mean, ms",
			"%.2f",
			milliseconds(
				mean("poolgauge.probe.duration", "poolgauge.probe.name", "disk", "poolgauge.probe.phase", name),
			),
		}
	}
	return s.report("disk: the sidecar's group may write five times a second", windows, 100,
		phase("sync"), phase("write"), phase("read"), phase("total")), nil
}
