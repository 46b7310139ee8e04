package telemetry

import (
	"log/slog"
	"math"
	"os"
	"runtime"

	"github.com/poolgauge/poolgauge/internal/throttle"
)

// warnOfGOMAXPROCS logs a warning if GOMAXPROCS does not match the CPU quota.
func warnOfGOMAXPROCS() {
	quota, limited := throttle.Read().Quota()
	if why := explainMismatch(
		runtime.GOMAXPROCS(0),
		runtime.NumCPU(),
		quota,
		limited,
		os.Getenv("GOMAXPROCS") != "",
	); why != "" {
		slog.Warn(
			"GOMAXPROCS does not match the CPU quota",
			"gomaxprocs",
			runtime.GOMAXPROCS(0),
			"quota",
			quota,
			"why",
			why,
		)
	}
}

// explainMismatch explains why n, the value of GOMAXPROCS, does not match the CPU quota, or returns
// "" if it does. limited is whether there is a quota, and pinned whether the environment variable
// sets GOMAXPROCS. Go rounds the quota up, and to at least 2 if there are at least two CPUs.
func explainMismatch(n, cpus int, quota float64, limited, pinned bool) string {
	matching := min(cpus, max(2, int(math.Ceil(quota))))
	switch {
	case !limited || n == matching:
		return ""
	case pinned:
		return "the environment variable GOMAXPROCS sets it, so it does not follow the quota"
	case n > matching:
		return "the program set it, or the lower quota belongs to a parent cgroup, which Go does not see (golang/go#81180): " +
			"threads are throttled while they run"
	default:
		return "the program set it, so it does not follow the quota"
	}
}
