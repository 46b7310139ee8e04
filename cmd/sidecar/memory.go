package main

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

const (
	// workingMemory is the memory in bytes that the sidecar needs in addition to its queue: for
	// itself, and for requests that are being received and sent.
	workingMemory = 14 << 20
	// diskMemory is the additional memory in bytes that a queue on disk needs: for batches that are
	// being written, kept in memory or read back.
	diskMemory = 6 << 20
	// coveredLiveSize is the maximum size in bytes of a live picture that workingMemory covers.
	coveredLiveSize = 4 << 20
	// coveredRequestSize is the maximum size in bytes of a request that workingMemory covers.
	coveredRequestSize = 4 << 20
	// codeMemory is the size in bytes of the program's code, which Go's memory limit does not
	// count.
	codeMemory = 16 << 20
)

// limitMemory trades a little latency for a small footprint: the garbage collector works harder as
// memory use approaches what the settings allow, or the container's limit if that is lower. The
// environment variables of Go's runtime take precedence.
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
		log.Debug("cannot read the container's memory limit", "error", err)
	}
	limit, enough := memoryLimit(needed, allowed)
	if !enough {
		log.Warn(
			"the container's memory limit is below what the settings allow: lower --queue-size, --live-size or --relay-request-size, or raise the limit",
			"limit_bytes",
			allowed.Value,
			"needed_bytes",
			needed+codeMemory,
		)
	}
	debug.SetMemoryLimit(limit)
}

// memoryLimit returns the limit for Go's memory, in bytes, if the settings allow the program to use
// needed bytes, and the container to use allowed. enough is false if the container's limit is lower
// than what the settings allow.
func memoryLimit(needed int64, allowed kernfile.Optional[int64]) (limit int64, enough bool) {
	if allowed.Defined && allowed.Value < needed+codeMemory {
		return max(allowed.Value-codeMemory, workingMemory/2), false
	}
	return needed, true
}

// memoryOf returns the memory in bytes that the settings allow, excluding the program's code.
func memoryOf(settings *config.Settings) int64 {
	queued := settings.QueueSize
	if settings.QueueDir != "" {
		queued = queued/8 + diskMemory // memory holds only an index
	}
	return workingMemory + queued +
		max(0, settings.LiveSize-coveredLiveSize) +
		5*max(0, settings.RelayRequestSize-coveredRequestSize)
}
