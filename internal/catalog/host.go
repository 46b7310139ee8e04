package catalog

import semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

// Host holds the metrics of the host's CPU and memory. In a pod, the host is the whole node.
var Host = &Group{
	Name: "host",
	Help: "CPU and memory of the host; inside a pod, of the whole node. Omitted with `--host=false`.",
	Metrics: []*Metric{
		SystemCPUTime, SystemCPULogicalCount, SystemLoad1, SystemLoad5, SystemLoad15,
		SystemMemoryUsage, SystemMemoryLimit, SystemMemoryAvailable,
		SystemPagingUsage, SystemPagingOperations, SystemPagingFaults, HostOOMKills,
	},
}

// The metrics in [Host].
var (
	SystemCPUTime = &Metric{
		Name:     "system.cpu.time",
		Kind:     Counter,
		Unit:     "s",
		Standard: true,
		Help:     "Seconds that all logical CPUs together spent in each mode.",
		Attributes: []Attribute{
			{
				Key:    semconv.CPUModeKey,
				Values: []string{"user", "nice", "system", "idle", "iowait", "interrupt", "steal"},
			},
		},
	}
	SystemCPULogicalCount = &Metric{
		Name: "system.cpu.logical.count", Kind: UpDownCounter, Number: Int, Unit: "{cpu}", Standard: true,
		Help: "Logical CPUs of the host.",
	}
	SystemLoad1  = loadAverage("1m")
	SystemLoad5  = loadAverage("5m")
	SystemLoad15 = loadAverage("15m")

	SystemMemoryUsage = &Metric{
		Name:     "system.memory.usage",
		Kind:     UpDownCounter,
		Number:   Int,
		Unit:     "By",
		Standard: true,
		Help:     "Memory by state; the states add up to the limit.",
		Attributes: []Attribute{
			{Key: semconv.SystemMemoryStateKey, Values: []string{"used", "free", "cached", "buffers"}},
		},
	}
	SystemMemoryLimit = &Metric{
		Name: "system.memory.limit", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help: "Total memory of the host.",
	}
	SystemMemoryAvailable = &Metric{
		Name: "system.memory.linux.available", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help:   "The kernel's estimate of how much memory is available to new work without swapping.",
		Absent: "not Linux",
	}
	SystemPagingUsage = &Metric{
		Name: "system.paging.usage", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help:       "Swap space by state.",
		Absent:     "no swap",
		Attributes: []Attribute{{Key: semconv.SystemPagingStateKey, Values: []string{"used", "free"}}},
	}
	SystemPagingOperations = &Metric{
		Name: "system.paging.operations", Kind: Counter, Number: Int, Unit: "{operation}", Standard: true,
		Help:   "Pages swapped in and out.",
		Absent: "not Linux",
		Attributes: []Attribute{
			{Key: semconv.SystemPagingDirectionKey, Values: []string{"in", "out"}},
		},
	}
	SystemPagingFaults = &Metric{
		Name: "system.paging.faults", Kind: Counter, Number: Int, Unit: "{fault}", Standard: true,
		Help:       "Page faults; a major one had to wait for a disk.",
		Absent:     "not Linux",
		Attributes: []Attribute{{Key: semconv.SystemPagingFaultTypeKey, Values: []string{"major", "minor"}}},
	}
	HostOOMKills = &Metric{
		Name:   "poolgauge.host.oom_kills",
		Kind:   Counter,
		Number: Int,
		Unit:   "{kill}",
		Help:   "Processes anywhere on the host that the kernel killed because the host or a cgroup ran out of memory.",
		Absent: "kernels before 4.13, sandboxes, or not Linux",
	}
)

func loadAverage(window string) *Metric {
	return &Metric{
		Name:   "system.cpu.load_average." + window,
		Kind:   Gauge,
		Unit:   "{thread}",
		Help:   "Threads running or waiting for a CPU or a disk, averaged over " + window + ". The name is that of the Collector's host metrics receiver.",
		Absent: "Windows",
	}
}
