package collector

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Host reads CPU and memory of the host with gopsutil, which honours HOST_PROC where the host's /proc is mounted elsewhere.
// This file is the only one that knows gopsutil. The zero value is not usable: call [NewHost].
type Host struct {
	modes   []cpuMode
	cpus    int // when last counted
	counted time.Time

	memoryUsed, memoryFree, memoryCached, memoryBuffers Attributes
	pagingUsed, pagingFree, pagingIn, pagingOut         Attributes
	faultsMajor, faultsMinor                            Attributes
}

// cpuMode is one value of cpu.mode and where gopsutil keeps it.
type cpuMode struct {
	attrs   Attributes
	seconds func(*cpu.TimesStat) float64
}

// NewHost returns the host's source.
func NewHost() *Host {
	return &Host{
		modes:         cpuModes(runtime.GOOS),
		memoryUsed:    With(semconv.SystemMemoryStateUsed),
		memoryFree:    With(semconv.SystemMemoryStateFree),
		memoryCached:  With(semconv.SystemMemoryStateCached),
		memoryBuffers: With(semconv.SystemMemoryStateBuffers),
		pagingUsed:    With(semconv.SystemPagingStateUsed),
		pagingFree:    With(semconv.SystemPagingStateFree),
		pagingIn:      With(semconv.SystemPagingDirectionIn),
		pagingOut:     With(semconv.SystemPagingDirectionOut),
		faultsMajor:   With(semconv.SystemPagingFaultTypeMajor),
		faultsMinor:   With(semconv.SystemPagingFaultTypeMinor),
	}
}

// cpuModes lists the modes that the operating system accounts for; gopsutil leaves the others at 0, which would be a lie.
func cpuModes(goos string) []cpuMode {
	modes := []cpuMode{
		{With(semconv.CPUModeUser), func(t *cpu.TimesStat) float64 { return t.User }},
		{With(semconv.CPUModeSystem), func(t *cpu.TimesStat) float64 { return t.System }},
		{With(semconv.CPUModeIdle), func(t *cpu.TimesStat) float64 { return t.Idle }},
	}
	nice := cpuMode{With(semconv.CPUModeNice), func(t *cpu.TimesStat) float64 { return t.Nice }}
	interrupt := cpuMode{With(semconv.CPUModeInterrupt), func(t *cpu.TimesStat) float64 { return t.Irq + t.Softirq }}
	switch goos {
	case "windows":
		return append(modes, interrupt)
	case "linux":
		return append(
			modes, nice, interrupt,
			cpuMode{With(semconv.CPUModeIOWait), func(t *cpu.TimesStat) float64 { return t.Iowait }},
			cpuMode{With(semconv.CPUModeSteal), func(t *cpu.TimesStat) float64 { return t.Steal }},
		)
	default:
		return append(modes, nice)
	}
}

// Collect implements [Source].
func (h *Host) Collect(ctx context.Context, s *Sample) {
	for _, read := range []func(context.Context, *Sample) error{h.cpu, h.count, h.load, h.memory, h.paging} {
		s.Try(func() error { return read(ctx, s) })
	}
}

func (h *Host) cpu(ctx context.Context, s *Sample) error {
	all, err := cpu.TimesWithContext(ctx, false)
	if err == nil && len(all) != 1 {
		err = errors.New("no cpu line")
	}
	if err != nil {
		return fmt.Errorf("host CPU times: %w", err)
	}
	for _, mode := range h.modes {
		s.Float(catalog.SystemCPUTime, mode.seconds(&all[0]), mode.attrs)
	}
	return nil
}

// countEvery is how often the CPUs are counted: they seldom change, and gopsutil counts them in a file of some KiB for each.
const countEvery = time.Minute

func (h *Host) count(ctx context.Context, s *Sample) error {
	if h.cpus == 0 || time.Since(h.counted) >= countEvery {
		var err error
		if h.cpus, err = cpu.CountsWithContext(ctx, true); err == nil && h.cpus == 0 {
			err = errors.New("none found")
		}
		if err != nil {
			return fmt.Errorf("host CPU count: %w", err)
		}
		h.counted = time.Now()
	}
	s.Int(catalog.SystemCPULogicalCount, int64(h.cpus))
	return nil
}

func (h *Host) load(ctx context.Context, s *Sample) error {
	if runtime.GOOS == "windows" {
		return nil // gopsutil only estimates it there
	}
	avg, err := load.AvgWithContext(ctx)
	if err != nil {
		return fmt.Errorf("host load average: %w", err)
	}
	s.Float(catalog.SystemLoad1, avg.Load1)
	s.Float(catalog.SystemLoad5, avg.Load5)
	s.Float(catalog.SystemLoad15, avg.Load15)
	return nil
}

func (h *Host) memory(ctx context.Context, s *Sample) error {
	m, err := mem.VirtualMemoryWithContext(ctx)
	// gopsutil leaves at 0 what is missing, and a kernel never runs out of the last free page.
	if err == nil && (m.Total == 0 || m.Free == 0) {
		err = errors.New("no total or no free memory")
	}
	if err != nil {
		return fmt.Errorf("host memory: %w", err)
	}
	s.Int(catalog.SystemMemoryLimit, signed(m.Total))
	s.Int(catalog.SystemMemoryUsage, signed(m.Used), h.memoryUsed)
	s.Int(catalog.SystemMemoryUsage, signed(m.Free), h.memoryFree)
	if runtime.GOOS == "linux" {
		s.Int(catalog.SystemMemoryUsage, signed(m.Cached), h.memoryCached)
		s.Int(catalog.SystemMemoryUsage, signed(m.Buffers), h.memoryBuffers)
		s.Int(catalog.SystemMemoryAvailable, signed(m.Available))
	}
	return nil
}

func (h *Host) paging(ctx context.Context, s *Sample) error {
	p, err := mem.SwapMemoryWithContext(ctx)
	if err != nil {
		return fmt.Errorf("host swap: %w", err)
	}
	if p.Total > 0 {
		s.Int(catalog.SystemPagingUsage, signed(p.Used), h.pagingUsed)
		s.Int(catalog.SystemPagingUsage, signed(p.Free), h.pagingFree)
	}
	if runtime.GOOS != "linux" {
		return nil
	}
	// gopsutil reports an unreadable vmstat as zeros, and a host without one page fault does not exist.
	if p.PgFault == 0 {
		return errors.New("host paging: no pgfault in vmstat")
	}
	const page = 4096 // gopsutil multiplies the kernel's counts by this
	s.Int(catalog.SystemPagingOperations, signed(p.Sin/page), h.pagingIn)
	s.Int(catalog.SystemPagingOperations, signed(p.Sout/page), h.pagingOut)
	s.Int(catalog.SystemPagingFaults, signed(p.PgMajFault/page), h.faultsMajor)
	s.Int(catalog.SystemPagingFaults, signed(p.PgFault/page)-signed(p.PgMajFault/page), h.faultsMinor)
	return nil
}

// signed converts a size or count of the kernel, all of which fit 63 bits.
func signed(v uint64) int64 { return int64(v) } //nolint:gosec // see above
