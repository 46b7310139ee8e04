package telemetry

import (
	"log/slog"
	"math"
	"os"
	"runtime"

	"github.com/poolgauge/poolgauge/internal/throttle"
)

// warnOfProcessors says once, at the start, where Go runs more threads than the CPU quota lets run,
// or not as many.
func warnOfProcessors() {
	quota, limited := throttle.Read().Quota()
	if why := processors(
		runtime.GOMAXPROCS(0),
		runtime.NumCPU(),
		quota,
		limited,
		os.Getenv("GOMAXPROCS") != "",
	); why != "" {
		slog.Warn(
			"GOMAXPROCS does not fit the CPU quota",
			"gomaxprocs",
			runtime.GOMAXPROCS(0),
			"quota",
			quota,
			"why",
			why,
		)
	}
}

// processors says why n does not fit a quota of CPUs; empty if it does. Go takes the quota rounded
// up, but two at least where there are two.
func processors(n, cpus int, quota float64, limited, pinned bool) string {
	fits := min(cpus, max(2, int(math.Ceil(quota))))
	switch {
	case !limited || n == fits:
		return ""
	case pinned:
		return "the variable GOMAXPROCS pins it, so that Go does not follow the quota when that changes"
	case n > fits:
		return "the program set it, or a control group further up has the tighter quota: Go looks at its own group's (golang/go#81180). " +
			"Threads are stopped while they run"
	default:
		return "the program set it, so that Go does not follow the quota when that changes"
	}
}
