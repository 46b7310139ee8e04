package catalog

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The attribute key of the sidecar's sources.
const (
	SourceKey = attribute.Key("poolgauge.source")
)

// Sidecar holds the metrics about the sidecar itself. Its CPU time and memory are in [Process], its
// Go runtime in [Runtime].
var Sidecar = &Group{
	Name: "sidecar",
	Help: "The sidecar's own metrics. Its CPU and memory are among the `process.*` points, its heap and goroutines among `go.*`.",
	Metrics: []*Metric{
		SourceDuration,
		SourceSuccess,
		SourceErrors,
		HostVerdict,
		SidecarProblems,
		LiveUsage,
		LiveLimit,
		LiveSeries,
		LiveRefused,
		PageRefused,
	},
}

var sourceAttribute = []Attribute{
	{Key: SourceKey, Values: []string{"host", "network", "container", "pressure", "process", "filesystem"}},
}

// The metrics in [Sidecar].
var (
	SourceDuration = &Metric{
		Name: "poolgauge.source.duration", Kind: Gauge, Unit: "s",
		Help: "How long the last reading of the source took.", Attributes: sourceAttribute,
	}
	SourceSuccess = &Metric{
		Name: "poolgauge.source.success", Kind: Gauge, Number: Int, Unit: "1",
		Help: "1 if the last reading of the source had no error, otherwise 0.", Attributes: sourceAttribute,
	}
	SourceErrors = &Metric{
		Name:       "poolgauge.source.errors",
		Kind:       Counter,
		Number:     Int,
		Unit:       "{error}",
		Help:       "Values that could not be read or parsed. Only the affected metrics are missing.",
		Attributes: sourceAttribute,
	}
)

// The metrics in [Sidecar] about the data that the page, /api and the summary show.
var (
	LiveUsage = &Metric{
		Name:   "poolgauge.live.usage",
		Kind:   UpDownCounter,
		Number: Int,
		Unit:   "By",
		Help:   "Approximate memory used by the live picture, the data behind the page: the app's newest points and the last 15 minutes of its pools.",
	}
	LiveLimit = &Metric{
		Name: "poolgauge.live.limit", Kind: UpDownCounter, Number: Int, Unit: "By",
		Help: "Maximum memory of the live picture, set by --live-size.",
	}
	LiveSeries = &Metric{
		Name: "poolgauge.live.series", Kind: UpDownCounter, Number: Int, Unit: "{series}",
		Help: "Series of the app in the live picture.",
	}
	PageRefused = &Metric{
		Name:   "poolgauge.page.refused",
		Kind:   Counter,
		Number: Int,
		Unit:   "{connection}",
		Help:   "Connections to the page that were closed because at most 64 may be open, longest idle first.",
		Absent: "no page",
	}
	LiveRefused = &Metric{
		Name: "poolgauge.live.refused", Kind: Counter, Number: Int, Unit: "{point}",
		Help: "Points that are missing from the live picture because it is full. They are still relayed.",
	}
)

// HostVerdict is the metric for verdicts on the machine.
var HostVerdict = &Metric{
	Name:   "poolgauge.host.verdict",
	Kind:   UpDownCounter,
	Number: Int,
	Unit:   "{host}",
	Help:   "Verdict on the machine and the container: 1 for the verdict that holds now, and 0 for each verdict that held before.",
	Absent: "verdicts that never held",
	Attributes: []Attribute{{Key: VerdictKey, Values: []string{
		"undetermined", "ok", "throttled", "memory_pressure", "steal", "noisy_neighbor", "disk_slow",
	}, Help: "see docs/verdicts.md"}},
}

// SidecarProblems is the metric for problems that the sidecar tolerates.
var SidecarProblems = &Metric{
	Name:   "poolgauge.sidecar.problems",
	Kind:   UpDownCounter,
	Number: Int,
	Unit:   "{problem}",
	Help:   "Problems that the sidecar tolerates with keep-running: invalid settings, ports in use, directories that are not writable. The log has the details.",
}

// GoroutineStateKey is the attribute key of [Goroutines].
const GoroutineStateKey = attribute.Key("poolgauge.go.goroutine.state")

// Goroutines is the metric for goroutines by state, for which there is no convention yet.
var Goroutines = &Metric{
	Name:       "poolgauge.go.goroutines",
	Kind:       UpDownCounter,
	Number:     Int,
	Unit:       "{goroutine}",
	Help:       "Goroutines by state, approximately: they may not add up to go.goroutine.count. If many stay runnable, the program needs more CPUs.",
	Attributes: []Attribute{{Key: GoroutineStateKey, Values: []string{"running", "runnable", "waiting", "not_in_go"}}},
}

// LockWaitTime is the metric for waits for locks, for which there is no convention yet.
var LockWaitTime = &Metric{
	Name: "poolgauge.go.lock.wait.time",
	Kind: Counter,
	Unit: "s",
	Help: "Approximate total time that goroutines waited for a sync.Mutex, a sync.RWMutex or a lock of the runtime.",
}

// Runtime holds the metrics of the Go runtime, for the sidecar and for programs that use
// instrument/telemetry. go.opentelemetry.io/contrib/instrumentation/runtime emits the rows that a
// convention defines.
var Runtime = &Group{
	Name: "runtime",
	Help: "The Go runtime of the sidecar, and of programs that call `telemetry.Start`. OpenTelemetry's runtime instrumentation emits `go.*`.",
	Metrics: []*Metric{
		Goroutines,
		LockWaitTime,
		{
			Name:       "go.memory.used",
			Kind:       UpDownCounter,
			Number:     Int,
			Unit:       "By",
			Standard:   true,
			Help:       "Memory that the runtime uses.",
			Attributes: []Attribute{{Key: semconv.GoMemoryTypeKey, Values: []string{"stack", "other"}}},
		},
		{
			Name:     "go.memory.limit",
			Kind:     UpDownCounter,
			Number:   Int,
			Unit:     "By",
			Standard: true,
			Help:     "GOMEMLIMIT.",
			Absent:   "not set",
		},
		{
			Name:     "go.memory.allocated",
			Kind:     Counter,
			Number:   Int,
			Unit:     "By",
			Standard: true,
			Help:     "Bytes allocated on the heap.",
		},
		{
			Name:     "go.memory.allocations",
			Kind:     Counter,
			Number:   Int,
			Unit:     "{allocation}",
			Standard: true,
			Help:     "Allocations on the heap.",
		},
		{
			Name:     "go.memory.gc.goal",
			Kind:     UpDownCounter,
			Number:   Int,
			Unit:     "By",
			Standard: true,
			Help:     "Target heap size at the end of the next garbage collection.",
		},
		{
			Name:     "go.goroutine.count",
			Kind:     UpDownCounter,
			Number:   Int,
			Unit:     "{goroutine}",
			Standard: true,
			Help:     "Live goroutines.",
		},
		{
			Name:     "go.processor.limit",
			Kind:     UpDownCounter,
			Number:   Int,
			Unit:     "{thread}",
			Standard: true,
			Help:     "GOMAXPROCS.",
		},
		{Name: "go.config.gogc", Kind: UpDownCounter, Number: Int, Unit: "%", Standard: true, Help: "GOGC."},
	},
}
