package catalog

import semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

// Process holds the metrics of processes: those of the pod, or those selected by --process, and the
// sidecar itself.
var Process = &Group{
	Name: "process",
	Help: "The pod's processes (or those named with `--process`) and the sidecar's own.",
	Attributes: []Attribute{
		{Key: semconv.ProcessPIDKey},
		{Key: semconv.ProcessExecutableNameKey},
		{Key: semconv.ContainerIDKey, Help: "absent outside a container"},
	},
	Metrics: []*Metric{
		ProcessCPUTime,
		ProcessMemoryUsage,
		ProcessMemoryVirtual,
		ProcessThreadCount,
		ProcessContextSwitches,
		ProcessPagingFaults,
		ProcessRunQueueTime,
	},
}

// The metrics in [Process].
var (
	ProcessCPUTime = &Metric{
		Name: "process.cpu.time", Kind: Counter, Unit: "s", Standard: true,
		Help:       "CPU time that the process used.",
		Attributes: []Attribute{{Key: semconv.CPUModeKey, Values: []string{"user", "system"}}},
	}
	ProcessMemoryUsage = &Metric{
		Name: "process.memory.usage", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help: "Resident memory.",
	}
	ProcessMemoryVirtual = &Metric{
		Name: "process.memory.virtual", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help: "Virtual memory.",
	}
	ProcessThreadCount = &Metric{
		Name: "process.thread.count", Kind: UpDownCounter, Number: Int, Unit: "{thread}", Standard: true,
		Help: "Operating system threads.",
	}
	ProcessContextSwitches = &Metric{
		Name:     "process.context_switches",
		Kind:     Counter,
		Number:   Int,
		Unit:     "{context_switch}",
		Standard: true,
		Help:     "Context switches of all threads since the process was first seen.",
		Attributes: []Attribute{
			{Key: semconv.ProcessContextSwitchTypeKey, Values: []string{"voluntary", "involuntary"}},
		},
		Absent: "not readable, or not Linux",
	}
	ProcessPagingFaults = &Metric{
		Name: "process.paging.faults", Kind: Counter, Number: Int, Unit: "{fault}", Standard: true,
		Help:       "Page faults of the process; a major one had to wait for a disk.",
		Attributes: []Attribute{{Key: semconv.SystemPagingFaultTypeKey, Values: []string{"major", "minor"}}},
		Absent:     "not Linux",
	}
	ProcessRunQueueTime = &Metric{
		Name:   "poolgauge.process.run_queue.time",
		Kind:   Counter,
		Unit:   "s",
		Help:   "Time that threads of the process were ready to run but waited for a CPU (schedstat), since the process was first seen. Includes throttling.",
		Absent: "kernels without schedstat, or not Linux",
	}
)
