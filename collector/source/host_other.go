//go:build !linux

package source

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/host"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Host reads CPU and memory values of the host with gopsutil. Use [NewHost]; the zero value is not
// usable.
type Host struct {
	start *collector.StartTime
	self  *collector.Attributes
	modes []cpuMode

	memoryUsed, memoryFree, pagingUsed, pagingFree *collector.Attributes
}

// cpuMode is a value of the attribute cpu.mode, with a function that returns the time in that mode.
type cpuMode struct {
	attrs   *collector.Attributes
	seconds func(*cpu.TimesStat) float64
}

// NewHost returns a source of metrics about the host.
func NewHost() *Host {
	start := &collector.StartTime{}
	return &Host{
		start:      start,
		self:       collector.NewAttributes(start),
		modes:      cpuModes(start, runtime.GOOS),
		memoryUsed: collector.NewAttributes(start, semconv.SystemMemoryStateUsed),
		memoryFree: collector.NewAttributes(start, semconv.SystemMemoryStateFree),
		pagingUsed: collector.NewAttributes(start, semconv.SystemPagingStateUsed),
		pagingFree: collector.NewAttributes(start, semconv.SystemPagingStateFree),
	}
}

// cpuModes returns the modes that the operating system goos distinguishes. For other modes,
// gopsutil returns 0, which must not be reported.
func cpuModes(start *collector.StartTime, goos string) []cpuMode {
	modes := []cpuMode{
		{collector.NewAttributes(start, semconv.CPUModeUser), func(t *cpu.TimesStat) float64 { return t.User }},
		{collector.NewAttributes(start, semconv.CPUModeSystem), func(t *cpu.TimesStat) float64 { return t.System }},
		{collector.NewAttributes(start, semconv.CPUModeIdle), func(t *cpu.TimesStat) float64 { return t.Idle }},
	}
	nice := cpuMode{
		collector.NewAttributes(start, semconv.CPUModeNice),
		func(t *cpu.TimesStat) float64 { return t.Nice },
	}
	interrupt := cpuMode{
		collector.NewAttributes(start, semconv.CPUModeInterrupt),
		func(t *cpu.TimesStat) float64 { return t.Irq + t.Softirq },
	}
	if goos == "windows" {
		return append(modes, interrupt)
	}
	return append(modes, nice)
}

// booted returns when the host booted, or the zero time if that is unknown.
func booted(ctx context.Context) time.Time {
	boot, err := host.BootTimeWithContext(ctx)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(signed(boot), 0)
}

// Collect implements [collector.Source].
func (h *Host) Collect(ctx context.Context, s *collector.Sample) {
	if h.start.At.IsZero() {
		h.start.At = booted(ctx)
	}
	for _, read := range []func(context.Context, *collector.Sample) error{h.cpu, h.count, h.load, h.memory, h.paging} {
		s.Try(func() error { return read(ctx, s) })
	}
}

func (h *Host) cpu(ctx context.Context, s *collector.Sample) error {
	all, err := cpu.TimesWithContext(ctx, false)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("expected 1 set of times, got %d", len(all))
	}
	if err != nil {
		return fmt.Errorf("host CPU times: %w", err)
	}
	for _, mode := range h.modes {
		s.Float(catalog.SystemCPUTime, mode.seconds(&all[0]), mode.attrs)
	}
	return nil
}

func (h *Host) count(ctx context.Context, s *collector.Sample) error {
	cpus, err := cpu.CountsWithContext(ctx, true)
	if err == nil && cpus == 0 {
		err = errors.New("no CPUs found")
	}
	if err != nil {
		return fmt.Errorf("host CPU count: %w", err)
	}
	s.Int(catalog.SystemCPULogicalCount, int64(cpus), h.self)
	return nil
}

func (h *Host) load(ctx context.Context, s *collector.Sample) error {
	if runtime.GOOS == "windows" {
		return nil // on Windows, gopsutil only estimates the load average
	}
	avg, err := load.AvgWithContext(ctx)
	if err != nil {
		return fmt.Errorf("host load average: %w", err)
	}
	s.Float(catalog.SystemLoad1, avg.Load1, h.self)
	s.Float(catalog.SystemLoad5, avg.Load5, h.self)
	s.Float(catalog.SystemLoad15, avg.Load15, h.self)
	return nil
}

func (h *Host) memory(ctx context.Context, s *collector.Sample) error {
	m, err := mem.VirtualMemoryWithContext(ctx)
	// gopsutil returns 0 for a missing value. A true 0 cannot occur: the kernels of these systems
	// always keep some memory free.
	if err == nil && (m.Total == 0 || m.Free == 0) {
		err = errors.New("total or free memory is missing")
	}
	if err != nil {
		return fmt.Errorf("host memory: %w", err)
	}
	s.Int(catalog.SystemMemoryLimit, signed(m.Total), h.self)
	s.Int(catalog.SystemMemoryUsage, signed(m.Used), h.memoryUsed)
	s.Int(catalog.SystemMemoryUsage, signed(m.Free), h.memoryFree)
	return nil
}

func (h *Host) paging(ctx context.Context, s *collector.Sample) error {
	p, err := mem.SwapMemoryWithContext(ctx)
	if err != nil {
		return fmt.Errorf("host swap: %w", err)
	}
	if p.Total > 0 {
		s.Int(catalog.SystemPagingUsage, signed(p.Used), h.pagingUsed)
		s.Int(catalog.SystemPagingUsage, signed(p.Free), h.pagingFree)
	}
	return nil
}

// signed converts v, a size or count from the kernel, which always fits in 63 bits.
func signed(v uint64) int64 { return int64(v) } //nolint:gosec // see above
