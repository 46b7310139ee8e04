package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/proc"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Host reads CPU and memory values of the host from /proc. If the host's /proc is mounted
// elsewhere, the environment variable HOST_PROC names that directory. Use [NewHost]; the zero value
// is not usable.
type Host struct {
	fs                             *proc.FS
	reader                         kernfile.Reader
	stat, loadavg, meminfo, vmstat kernfile.File
	cpus                           cpuTimes
	modes                          []cpuMode

	self                                                *collector.Attributes
	start                                               *collector.StartTime
	memoryUsed, memoryFree, memoryCached, memoryBuffers *collector.Attributes
	pagingUsed, pagingFree, pagingIn, pagingOut         *collector.Attributes
	faultsMajor, faultsMinor                            *collector.Attributes
}

// cpuMode is a value of the attribute cpu.mode, with the columns of /proc/stat whose sum is the
// time in that mode.
type cpuMode struct {
	attrs   *collector.Attributes
	columns []int
}

// NewHost returns a source of metrics about the host.
func NewHost() *Host {
	fs := proc.NewFS(os.Getenv("HOST_PROC"))
	start := &collector.StartTime{}
	h := &Host{
		fs: fs, start: start, self: collector.NewAttributes(start),
		stat: kernfile.NewFile(fs.Path("stat")), loadavg: kernfile.NewFile(fs.Path("loadavg")),
		meminfo: kernfile.NewFile(fs.Path("meminfo")), vmstat: kernfile.NewFile(fs.Path("vmstat")),
		modes: []cpuMode{
			{collector.NewAttributes(start, semconv.CPUModeUser), []int{cpuUser}},
			{collector.NewAttributes(start, semconv.CPUModeNice), []int{cpuNice}},
			{collector.NewAttributes(start, semconv.CPUModeSystem), []int{cpuSystem}},
			{collector.NewAttributes(start, semconv.CPUModeIdle), []int{cpuIdle}},
			{collector.NewAttributes(start, semconv.CPUModeIOWait), []int{cpuIOWait}},
			{collector.NewAttributes(start, semconv.CPUModeInterrupt), []int{cpuIRQ, cpuSoftIRQ}},
			{collector.NewAttributes(start, semconv.CPUModeSteal), []int{cpuSteal}},
		},
		memoryUsed:    collector.NewAttributes(start, semconv.SystemMemoryStateUsed),
		memoryFree:    collector.NewAttributes(start, semconv.SystemMemoryStateFree),
		memoryCached:  collector.NewAttributes(start, semconv.SystemMemoryStateCached),
		memoryBuffers: collector.NewAttributes(start, semconv.SystemMemoryStateBuffers),
		pagingUsed:    collector.NewAttributes(start, semconv.SystemPagingStateUsed),
		pagingFree:    collector.NewAttributes(start, semconv.SystemPagingStateFree),
		pagingIn:      collector.NewAttributes(start, semconv.SystemPagingDirectionIn),
		pagingOut:     collector.NewAttributes(start, semconv.SystemPagingDirectionOut),
		faultsMajor:   collector.NewAttributes(start, semconv.SystemPagingFaultTypeMajor),
		faultsMinor:   collector.NewAttributes(start, semconv.SystemPagingFaultTypeMinor),
	}
	h.vmstat.Chunked = true
	return h
}

// booted returns when the host booted, or the zero time if that is unknown.
func booted(context.Context) time.Time { return proc.NewFS(os.Getenv("HOST_PROC")).Boot(time.Now()) }

// Collect implements [collector.Source].
func (h *Host) Collect(_ context.Context, s *collector.Sample) {
	if h.start.At.IsZero() {
		h.start.At = h.fs.Boot(time.Now())
	}
	for _, part := range []struct {
		file *kernfile.File
		read func([]byte, *collector.Sample) error
	}{{&h.stat, h.cpu}, {&h.loadavg, h.load}, {&h.meminfo, h.memory}, {&h.vmstat, h.paging}} {
		data, err := h.reader.ReadFile(part.file)
		switch {
		case err == nil:
			s.Fail(part.read(data, s))
		case !kernfile.Absent(err):
			s.Fail(err)
		}
	}
}

func (h *Host) cpu(data []byte, s *collector.Sample) error {
	up := time.Duration(0)
	if boot, ok := proc.ParseBoot(data); ok {
		up = max(0, time.Since(boot))
	}
	err := h.cpus.read(data, up, s.Fail)
	if h.cpus.online > 0 {
		s.Int(catalog.SystemCPULogicalCount, int64(h.cpus.online), h.self)
	}
	switch {
	case errors.Is(err, errNoCPUTime):
		s.Note(err.Error())
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", h.stat.Path, err)
	}
	for _, mode := range h.modes {
		seconds(s, catalog.SystemCPUTime, h.cpus.sum(mode.columns...), mode.attrs)
	}
	return nil
}

// load parses a line such as "0.20 0.18 0.12 1/80 11206". A sandbox that reports no threads does
// not compute load averages.
func (h *Host) load(data []byte, s *collector.Sample) error {
	fields := bytes.Fields(data)
	if len(fields) < 4 {
		return fmt.Errorf("%s: expected at least 4 fields, got %d", h.loadavg.Path, len(fields))
	}
	if string(fields[3]) == "0/0" {
		s.Note("no load average: this sandbox does not compute it")
		return nil
	}
	for i, m := range []*catalog.Metric{catalog.SystemLoad1, catalog.SystemLoad5, catalog.SystemLoad15} {
		v, err := strconv.ParseFloat(string(fields[i]), 64)
		if err != nil {
			return fmt.Errorf("%s: %q is not a number", h.loadavg.Path, fields[i])
		}
		s.Float(m, v, h.self)
	}
	return nil
}

// maxBytes is more memory or swap than a machine can have. A larger value is a difference that fell
// below 0, which lxcfs may report.
const maxBytes = 1 << 55

// memory reports memory by state. The values of all states add up to the total memory.
func (h *Host) memory(data []byte, s *collector.Sample) error {
	var total, free, available, buffers, cached, slab, reclaimable, swap kernfile.Optional[int64]
	kernfile.Table(data, s.Fail,
		kernfile.Key{Name: "MemTotal:", To: &total}, kernfile.Key{Name: "MemFree:", To: &free},
		kernfile.Key{Name: "MemAvailable:", To: &available}, kernfile.Key{Name: "Buffers:", To: &buffers},
		kernfile.Key{Name: "Cached:", To: &cached}, kernfile.Key{Name: "Slab:", To: &slab},
		kernfile.Key{Name: "SReclaimable:", To: &reclaimable}, kernfile.Key{Name: "SwapTotal:", To: &swap})
	if total.Value == 0 || total.Value > maxBytes {
		return fmt.Errorf("%s: MemTotal is missing or out of range", h.meminfo.Path)
	}
	s.Int(catalog.SystemMemoryLimit, total.Value, h.self)
	if available.Value <= total.Value {
		number(s, catalog.SystemMemoryAvailable, available, h.self)
	} else {
		s.Fail(fmt.Errorf("%s: MemAvailable is more than MemTotal", h.meminfo.Path))
	}
	s.Fail(h.swap(data, s, swap.Value))
	if !free.Defined || free.Value > total.Value {
		return fmt.Errorf("%s: MemFree is missing or out of range", h.meminfo.Path)
	}
	number(s, catalog.SystemMemoryUsage, free, h.memoryFree)
	number(s, catalog.SystemMemoryUsage, buffers, h.memoryBuffers)
	if !cached.Defined {
		return nil // WSL 1 does not distinguish cache from used memory
	}
	rest := total.Value - free.Value - buffers.Value - cached.Value
	// lxcfs shows a container's own memory, but the slabs of the whole host, which may be larger.
	if r := reclaimable.Value; r <= rest && (!slab.Defined || r <= slab.Value) {
		cached.Value += r
		rest -= r
	}
	s.Int(catalog.SystemMemoryUsage, cached.Value, h.memoryCached)
	s.Int(catalog.SystemMemoryUsage, rest, h.memoryUsed)
	return nil
}

// swap reports swap space if there is any. lxcfs may report free swap even if there is none.
func (h *Host) swap(data []byte, s *collector.Sample, total int64) error {
	if total == 0 {
		return nil
	}
	var free kernfile.Optional[int64]
	kernfile.Table(data, s.Fail, kernfile.Key{Name: "SwapFree:", To: &free})
	if !free.Defined || free.Value > total || total > maxBytes {
		return fmt.Errorf("%s: SwapTotal or SwapFree is missing or out of range", h.meminfo.Path)
	}
	s.Int(catalog.SystemPagingUsage, total-free.Value, h.pagingUsed)
	s.Int(catalog.SystemPagingUsage, free.Value, h.pagingFree)
	return nil
}

func (h *Host) paging(data []byte, s *collector.Sample) error {
	var in, out, faults, major, kills kernfile.Optional[int64]
	kernfile.Table(data, s.Fail,
		kernfile.Key{Name: "pswpin", To: &in}, kernfile.Key{Name: "pswpout", To: &out},
		kernfile.Key{Name: "pgfault", To: &faults}, kernfile.Key{Name: "pgmajfault", To: &major},
		kernfile.Key{Name: "oom_kill", To: &kills})
	number(s, catalog.SystemPagingOperations, in, h.pagingIn)
	number(s, catalog.SystemPagingOperations, out, h.pagingOut)
	number(s, catalog.SystemPagingFaults, major, h.faultsMajor)
	number(s, catalog.HostOOMKills, kills, h.self)
	if !faults.Defined || !major.Defined {
		return fmt.Errorf("%s: pgfault or pgmajfault is missing", h.vmstat.Path)
	}
	s.Int(catalog.SystemPagingFaults, faults.Value-major.Value, h.faultsMinor)
	return nil
}
