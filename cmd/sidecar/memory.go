package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector"
)

// workingMemory is what the sidecar needs besides what is queued: for itself, and for what is being received and sent. With half of it the garbage
// collector falls behind in a flood of large requests, and gives up on the limit.
const workingMemory = 46 << 20

// saveMemory trades a little latency for a small footprint, unless the user decided otherwise. It returns a sink that has the collector work harder
// the nearer memory comes to the container's limit, which may change, or without one to what the settings let the sidecar hold.
func saveMemory(settings *config.Settings) collector.Sink {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return func(*metricdata.ResourceMetrics) {}
	}
	queued := settings.QueueSize
	if settings.QueueDir != "" {
		queued /= 8 // of which only an index is in memory
	}
	quota, known := collector.NewQuota(settings.CgroupRoot), int64(0)
	follow := func(*metricdata.ResourceMetrics) {
		limit, ok := quota.MemoryLimit()
		if limit = memoryLimit(limit, ok, workingMemory+queued); limit != known {
			known = limit
			debug.SetMemoryLimit(limit)
		}
	}
	follow(nil)
	return follow
}

// memoryLimit is the limit of Go's memory: what is needed, or three quarters of the container's limit. The rest is for what Go does not count: the
// program's pages, threads, buffers of the kernel.
func memoryLimit(container int64, limited bool, needed int64) int64 {
	if quarters := container / 4 * 3; limited && quarters < needed {
		return quarters
	}
	return needed
}
