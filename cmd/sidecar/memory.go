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
	// workingMemory is what the sidecar needs besides what is queued, in bytes: for itself, and for
	// what is being received and sent.
	workingMemory = 20 << 20
	// usualRequest is how large a request may be that workingMemory is enough for.
	usualRequest = 4 << 20
	// codeMemory is what the program's code takes, which Go's limit does not count.
	codeMemory = 12 << 20
)

// saveMemory trades a little latency for a small footprint, unless the user decided otherwise: the
// garbage collector works harder the nearer memory comes to what the settings let the sidecar hold,
// or to what its container may have if that is less.
func saveMemory(settings *config.Settings, log *slog.Logger) {
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
		log.Debug("the container's memory limit is not known", "error", err)
	}
	if allowed.Defined && allowed.Value < needed+codeMemory {
		log.Warn(
			"the container's memory limit is less than what the settings may take: set --queue-size lower, or the limit higher",
			"limit",
			allowed.Value,
			"settings",
			needed+codeMemory,
		)
		needed = max(allowed.Value-codeMemory, workingMemory/2)
	}
	debug.SetMemoryLimit(needed)
}

// memoryOf returns what the settings let the sidecar have in memory, in bytes, besides its code.
func memoryOf(settings *config.Settings) int64 {
	queued := settings.QueueSize
	if settings.QueueDir != "" {
		queued /= 8 // of which only an index is in memory
	}
	return workingMemory + queued + 5*max(0, settings.RelayRequestSize-usualRequest)
}
