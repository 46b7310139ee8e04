package catalog

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The attribute keys of cgroups.
const (
	CgroupPathKey  = attribute.Key("poolgauge.cgroup.path")
	CgroupEventKey = attribute.Key("poolgauge.cgroup.memory.event")
)

var cgroupAttributes = []Attribute{
	{
		Key:  semconv.ContainerIDKey,
		Help: "the container that the cgroup belongs to; absent for an ancestor and outside a container",
	},
	{
		Key:  semconv.K8SContainerNameKey,
		Help: "for the sidecar's own container, if set in OTEL_RESOURCE_ATTRIBUTES; absent for all others",
	},
	{Key: CgroupPathKey, Help: "path of the cgroup below the visible root"},
}

// Container holds the metrics of cgroups: those of the sidecar's own container, of the pod's other
// containers if the PID namespace is shared, and of every visible ancestor, since each of these
// cgroups may be throttled.
var Container = &Group{
	Name: "container",
	Help: "Cgroups (v1, v2 and hybrid): the sidecar's own container, the pod's other containers where the PID namespace is shared, " +
		"and every visible ancestor. `container.*` is for containers, `poolgauge.cgroup.*` for every cgroup.",
	Attributes: cgroupAttributes,
	Metrics: []*Metric{
		ContainerCPUTime,
		ContainerMemoryUsage,
		ContainerMemoryWorkingSet,
		ContainerMemoryRSS,
		ContainerMemoryAvailable,
		ContainerPagingFaults,
		ContainerDiskIO,
		CgroupCPUTime,
		CgroupCPULimit,
		CgroupCPUPeriods,
		CgroupCPUThrottledPeriods,
		CgroupCPUThrottledTime,
		CgroupMemoryUsage,
		CgroupMemoryWorkingSet,
		CgroupMemoryLimit,
		CgroupMemorySwap,
		CgroupMemoryEvents,
		CgroupProcessCount,
		CgroupProcessLimit,
	},
}

// The metrics in [Container].
var (
	ContainerCPUTime = &Metric{
		Name: "container.cpu.time", Kind: Counter, Unit: "s", Standard: true,
		Help:       "CPU time that the container used.",
		Attributes: []Attribute{{Key: semconv.CPUModeKey, Values: []string{"user", "system"}}},
	}
	ContainerMemoryUsage = &Metric{
		Name: "container.memory.usage", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help: "Memory charged to the container, page cache included.",
	}
	ContainerMemoryWorkingSet = &Metric{
		Name:     "container.memory.working_set",
		Kind:     UpDownCounter,
		Number:   Int,
		Unit:     "By",
		Standard: true,
		Help:     "Memory charged to the container, minus the page cache that can be dropped at once. The kubelet uses it for eviction.",
	}
	ContainerMemoryRSS = &Metric{
		Name: "container.memory.rss", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help: "Anonymous memory of the container.",
	}
	ContainerMemoryAvailable = &Metric{
		Name:     "container.memory.available",
		Kind:     UpDownCounter,
		Number:   Int,
		Unit:     "By",
		Standard: true,
		Help:     "Memory left under the tightest limit, the container's own or a visible ancestor's: that limit minus the working set of its cgroup.",
		Absent:   "no visible memory limit",
	}
	ContainerPagingFaults = &Metric{
		Name: "container.memory.paging.faults", Kind: Counter, Number: Int, Unit: "{fault}", Standard: true,
		Help:       "Page faults of the container; a major one had to wait for a disk.",
		Attributes: []Attribute{{Key: semconv.SystemPagingFaultTypeKey, Values: []string{"major", "minor"}}},
	}
	ContainerDiskIO = &Metric{
		Name:     "container.disk.io",
		Kind:     Counter,
		Number:   Int,
		Unit:     "By",
		Standard: true,
		Help:     "Bytes that the container read from and wrote to block devices; bytes that pass through stacked devices are counted for each device.",
		Attributes: []Attribute{
			{Key: semconv.DiskIODirectionKey, Values: []string{"read", "write"}},
			{Key: semconv.SystemDeviceKey, Help: "name of the device, or major:minor where sysfs hides it"},
		},
		Absent: "no I/O yet, or no io controller (v1: blkio)",
	}
	CgroupCPUTime = &Metric{
		Name: "poolgauge.cgroup.cpu.time", Kind: Counter, Unit: "s",
		Help:       "CPU time that an ancestor and all cgroups below it used; for a container see container.cpu.time.",
		Attributes: []Attribute{{Key: semconv.CPUModeKey, Values: []string{"user", "system"}}},
	}
	CgroupCPULimit = &Metric{
		Name: "poolgauge.cgroup.cpu.limit", Kind: UpDownCounter, Unit: "{cpu}",
		Help:   "The CPU quota as a number of CPUs: quota divided by period.",
		Absent: "no quota",
	}
	CgroupCPUPeriods = &Metric{
		Name: "poolgauge.cgroup.cpu.periods", Kind: Counter, Number: Int, Unit: "{period}",
		Help:   "Quota periods in which the cgroup had something to run.",
		Absent: "no quota has ever been set",
	}
	CgroupCPUThrottledPeriods = &Metric{
		Name:   "poolgauge.cgroup.cpu.throttled.periods",
		Kind:   Counter,
		Number: Int,
		Unit:   "{period}",
		Help:   "Quota periods in which the cgroup was throttled. Their share of all periods is the best measure of throttling.",
		Absent: "no quota has ever been set",
	}
	CgroupCPUThrottledTime = &Metric{
		Name:   "poolgauge.cgroup.cpu.throttled.time",
		Kind:   Counter,
		Unit:   "s",
		Help:   "Time for which the cgroup was throttled, summed over CPUs; it may grow by more than one second per second.",
		Absent: "no quota has ever been set",
	}
	CgroupMemoryUsage = &Metric{
		Name: "poolgauge.cgroup.memory.usage", Kind: UpDownCounter, Number: Int, Unit: "By",
		Help: "Memory charged to an ancestor and all cgroups below it; for a container see container.memory.usage.",
	}
	CgroupMemoryWorkingSet = &Metric{
		Name:   "poolgauge.cgroup.memory.working_set",
		Kind:   UpDownCounter,
		Number: Int,
		Unit:   "By",
		Help:   "Memory charged to an ancestor and all cgroups below it, minus the page cache that can be dropped at once.",
	}
	CgroupMemoryLimit = &Metric{
		Name: "poolgauge.cgroup.memory.limit", Kind: UpDownCounter, Number: Int, Unit: "By",
		Help:   "The memory limit.",
		Absent: "no limit",
	}
	CgroupMemorySwap = &Metric{
		Name: "poolgauge.cgroup.memory.swap", Kind: UpDownCounter, Number: Int, Unit: "By",
		Help:   "Memory of the cgroup that is in swap.",
		Absent: "the kernel does not record swap by cgroup",
	}
	CgroupProcessCount = &Metric{
		Name: "poolgauge.cgroup.process.count", Kind: UpDownCounter, Number: Int, Unit: "{process}",
		Help:   "Processes and threads in the cgroup and all cgroups below it; the limit counts both.",
		Absent: "no pids controller",
	}
	CgroupProcessLimit = &Metric{
		Name: "poolgauge.cgroup.process.limit", Kind: UpDownCounter, Number: Int, Unit: "{process}",
		Help:   "Maximum number of processes and threads.",
		Absent: "no limit",
	}
	CgroupMemoryEvents = &Metric{
		Name:   "poolgauge.cgroup.memory.events",
		Kind:   Counter,
		Number: Int,
		Unit:   "{event}",
		Help:   "Memory events of the cgroup, such as max, when its limit is reached, and oom_kill, when the kernel kills a process. The last count of a container that was killed is reported once more after its end; docs/sidecar.md says when such a kill cannot be seen.",
		Attributes: []Attribute{{
			Key: CgroupEventKey, Values: []string{"low", "high", "max", "oom", "oom_kill", "oom_group_kill"},
		}},
		Absent: "events that the kernel does not count (v1 has max and oom_kill only)",
	}
)

// The attribute keys of pressure.
const (
	PressureResourceKey = attribute.Key("poolgauge.pressure.resource")
	PressureKindKey     = attribute.Key("poolgauge.pressure.kind")
	PressureScopeKey    = attribute.Key("poolgauge.pressure.scope")
)

// Pressure holds the pressure stall information of the host and of the cgroups that [Container]
// reports.
var Pressure = &Group{
	Name:       "pressure",
	Help:       "Pressure stall information (PSI) of the host and of the cgroups.",
	Attributes: cgroupAttributes,
	Metrics:    []*Metric{PressureStallTime},
}

// PressureStallTime is the metric in [Pressure].
var PressureStallTime = &Metric{
	Name: "poolgauge.pressure.stall.time",
	Kind: Counter,
	Unit: "s",
	Help: "Time in which some task (some), or every task that was not idle (full), waited for the resource. Includes throttling.",
	Attributes: []Attribute{
		{Key: PressureResourceKey, Values: []string{"cpu", "memory", "io"}},
		{Key: PressureKindKey, Values: []string{"some", "full"}},
		{Key: PressureScopeKey, Values: []string{"host", "cgroup"}},
	},
	Absent: "kernels without PSI; modes that older kernels lack",
}
