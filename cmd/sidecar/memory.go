package main

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector/cgroup"
)

const (
	// workingMemory is the memory that the sidecar needs in addition to its queue, in bytes: for
	// itself, and for requests being received and sent.
	workingMemory = 14 << 20
	// diskMemory is what it needs in addition with a queue on disk: for batches that are being
	// written, kept in memory or read back.
	diskMemory = 6 << 20
	// usualRequest is the largest size of requests, in bytes, for which workingMemory is enough.
	usualRequest = 4 << 20
	// codeMemory is the size of the program's code, which Go's limit does not count.
	codeMemory = 16 << 20
)

// limitMemory trades a little latency for a small footprint: the garbage collector works harder as
// memory approaches what the settings allow, or the container's limit if that is lower. The
// environment variables of Go's runtime override it.
func limitMemory(settings *config.Settings, log *slog.Logger) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	needed := memoryOf(settings)
	allowed, err := cgroup.MemoryLimit(cgroup.Config{})
	if err != nil {
		log.Debug("the container's memory limit is unknown", "error", err)
	}
	if allowed.Defined && allowed.Value < needed+codeMemory {
		log.Warn(
			"the container's memory limit is below what the settings allow: lower --queue-size or raise the limit",
			"limit",
			allowed.Value,
			"settings",
			needed+codeMemory,
		)
		needed = max(allowed.Value-codeMemory, workingMemory/2)
	}
	debug.SetMemoryLimit(needed)
}

// memoryOf returns how much memory the settings allow, in bytes, without the program's code.
func memoryOf(settings *config.Settings) int64 {
	queued := settings.QueueSize
	if settings.QueueDir != "" {
		queued = queued/8 + diskMemory // only an index is in memory
	}
	return workingMemory + queued + 5*max(0, settings.RelayRequestSize-usualRequest)
}
