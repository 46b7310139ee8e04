package main

import (
	"fmt"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

// inScope writes the queries of all dashboards except the pools dashboard, for the selected scope.
var inScope = promql.Queries{Scope: scope, Range: interval}

var (
	pathLabel  = promql.Label(catalog.CgroupPathKey)
	nameLabel  = promql.Label(semconv.K8SContainerNameKey)
	byGroup    = []string{instanceLabel, pathLabel, nameLabel}
	byInstance = []string{instanceLabel}
)

// groupLegend is the legend of queries to which [withGroup] has added the label group.
const groupLegend = "{{group}} ({{instance}})"

// withGroup adds the label group to series of cgroups. Its value is the container's name, which is
// known only for the sidecar's own container, or else the first 28 characters of the last element
// of the path. A complete element may be a long id, which would fill the legend.
func withGroup(expr string) string {
	byPath := `label_replace(` + expr + `, "group", "$1$2", "` + pathLabel + `", "(?:.*/)?([^/]{1,28})[^/]*|(/)")`
	return `label_replace(` + byPath + `, "group", "$1", "` + nameLabel + `", "(.+)")`
}

// onlyOwn is appended to the help of panels about containers. It says what a panel shows in a pod
// whose containers cannot see each other's processes.
const onlyOwn = " Without shareProcessNamespace in the pod, this is the sidecar's own container (poolgauge), not the app's."

const hostLabel = "host"

// perHost returns a query for expr by host and by the given labels. Each host counts once, even if
// several sidecars report it. A host is identified by k8s.node.name or, if that is absent, by the
// instance.
func perHost(by []string, expr string) string {
	each := promql.Sum(slices.Concat([]string{clusterLabel, nodeLabel, instanceLabel}, by), expr)
	for _, label := range []string{instanceLabel, nodeLabel} {
		each = fmt.Sprintf("label_replace(%s, %q, \"$1\", %q, \"(.+)\")", each, hostLabel, label)
	}
	return promql.Aggregate("max", append([]string{clusterLabel, hostLabel}, by...), each)
}

// share returns an expression for the ratio of a to b.
func share(a, b string) string { return a + " / " + b }

func throttled(q promql.Queries, by []string) string {
	return share(
		promql.Sum(by, q.Rate(catalog.CgroupCPUThrottledPeriods)),
		promql.Sum(by, q.Rate(catalog.CgroupCPUPeriods)),
	)
}

// cpus returns a query for the number of CPUs that containers and their ancestors use. The metric
// of containers is from the semantic conventions, and that of ancestors is poolgauge's own.
func cpus(q promql.Queries, by []string) string {
	return promql.Sum(by, q.Rate(catalog.ContainerCPUTime)) + " or " + promql.Sum(by, q.Rate(catalog.CgroupCPUTime))
}

func workingSet(q promql.Queries, by []string) string {
	return promql.Sum(
		by,
		q.Value(catalog.ContainerMemoryWorkingSet),
	) + " or " + promql.Sum(
		by,
		q.Value(catalog.CgroupMemoryWorkingSet),
	)
}

func memoryShare(q promql.Queries, by []string) string {
	return "(" + workingSet(q, by) + ") / " + promql.Sum(by, q.Value(catalog.CgroupMemoryLimit))
}

func host() dashboard.Dashboard {
	return newDashboard(
		hostUID,
		"poolgauge / Host and container",
		"What the machine does to the program: quotas and throttling, pressure, memory against its limit, and probes that measure CPU and disk right now.",
		promql.Name(catalog.ProcessCPUTime),
		[]row{
			{"Container", containerPanels()},
			{"Volumes", volumePanels()},
			{"Pressure", pressurePanels()},
			{"Probes", append(cpuProbes(), otherProbes()...)},
			{"Processes", processPanels()},
			{"Host", hostPanels()},
		},
	)
}

func containerPanels() []panel {
	return []panel{
		chart{
			title:  "CPU used",
			unit:   "short",
			width:  8,
			height: 8,
			none:   "no cgroup is visible",
			help:   "CPUs that a container uses, or an ancestor together with all cgroups below it. Dashed: its quota, if it has one." + onlyOwn,
			bounds: []query{
				{withGroup(promql.Sum(byGroup, inScope.Value(catalog.CgroupCPULimit))), "quota of " + groupLegend},
			},
		}.lines(
			query{withGroup(cpus(inScope, byGroup)), groupLegend},
		),
		chart{
			title:  "Throttled",
			unit:   "percentunit",
			width:  8,
			height: 8,
			top:    cog.ToPtr(1.0),
			limits: steps(0.1, 0.5),
			sparse: []*catalog.Metric{catalog.CgroupCPUPeriods},
			help:   "Share of the CPU quota's periods in which the cgroup was throttled. Throttling an ancestor also throttles every cgroup below it." + onlyOwn,
		}.lines(query{withGroup(throttled(inScope, byGroup)), groupLegend}),
		chart{
			title:  "Throttled time",
			unit:   "short",
			width:  8,
			height: 8,
			sparse: []*catalog.Metric{catalog.CgroupCPUThrottledTime},
			help:   "Seconds per second for which the cgroup was throttled, summed over CPUs: may exceed 1.",
		}.lines(query{withGroup(promql.Sum(byGroup, inScope.Rate(catalog.CgroupCPUThrottledTime))), groupLegend}),
		chart{
			title:  "Memory",
			unit:   "bytes",
			width:  8,
			height: 8,
			none:   "no cgroup is visible",
			help:   "Working set, which the kubelet uses for eviction. Dashed: the limit, at which the kernel kills processes." + onlyOwn,
			bounds: []query{
				{withGroup(promql.Sum(byGroup, inScope.Value(catalog.CgroupMemoryLimit))), "limit of " + groupLegend},
			},
		}.lines(
			query{withGroup(workingSet(inScope, byGroup)), groupLegend},
		),
		chart{
			title:  "Memory against the limit",
			unit:   "percentunit",
			width:  8,
			height: 8,
			top:    cog.ToPtr(1.0),
			limits: steps(0.8, 0.95),
			none:   "no memory limit",
			help:   "Working set over the memory limit.",
		}.lines(query{withGroup(memoryShare(inScope, byGroup)), groupLegend}),
		chart{
			title:  "Memory events",
			unit:   "short",
			width:  8,
			height: 8,
			none:   "no cgroup is visible",
			help:   "Memory events of the cgroups in the interval. max: a limit was reached and memory was reclaimed; oom_kill: a process was killed.",
		}.lines(query{
			promql.Sum(promql.Labels(catalog.CgroupEventKey), inScope.Increase(catalog.CgroupMemoryEvents)),
			"{{" + promql.Label(catalog.CgroupEventKey) + "}}",
		}),
	}
}

func volumePanels() []panel {
	volume := promql.Labels(semconv.SystemFilesystemMountpointKey, semconv.SystemDeviceKey)
	used := func(m *catalog.Metric) query {
		of := func(matcher promql.Matcher) string { return perHost(volume, inScope.Value(m, matcher)) }
		return query{
			share(
				of(promql.Is(semconv.SystemFilesystemStateKey, "used")),
				of(promql.Is(semconv.SystemFilesystemStateKey, "used", "free")),
			),
			"{{" + volume[0] + "}} of {{host}}",
		}
	}
	return []panel{
		chart{
			title:  "Space used",
			unit:   "percentunit",
			width:  12,
			height: 8,
			top:    cog.ToPtr(1.0),
			limits: steps(0.9, 0.97),
			sparse: []*catalog.Metric{catalog.SystemFilesystemUsage},
			help:   "Used share of the space of a file system that is available to all users, as in df. Volumes on one disk fill together.",
		}.lines(used(catalog.SystemFilesystemUsage)),
		chart{
			title:  "Inodes used",
			unit:   "percentunit",
			width:  12,
			height: 8,
			top:    cog.ToPtr(1.0),
			limits: steps(0.9, 0.97),
			sparse: []*catalog.Metric{catalog.FilesystemInodes},
			help:   "Share of the inodes that are used. Without a free inode no file can be created, however much space there is.",
		}.lines(used(catalog.FilesystemInodes)),
	}
}

func pressurePanels() []panel {
	var panels []panel
	for _, r := range []struct{ resource, title, help string }{
		{"cpu", "CPU pressure", "Share of the time in which a task was ready and had no CPU. Includes throttling."},
		{"memory", "Memory pressure", "Share of the time in which a task waited for memory: reclaim, swap, or pages that were just dropped."},
		{"io", "Disk pressure", "Share of the time in which a task waited for a disk."},
	} {
		stalls := func(scope string) string {
			return inScope.Rate(catalog.PressureStallTime, promql.Is(catalog.PressureResourceKey, r.resource),
				promql.Is(catalog.PressureKindKey, "some"), promql.Is(catalog.PressureScopeKey, scope))
		}
		panels = append(panels, chart{
			title:  r.title,
			unit:   "percentunit",
			width:  8,
			height: 8,
			sparse: []*catalog.Metric{catalog.PressureStallTime},
			help:   r.help + " Shown for the host, and for the worst cgroup of each instance.",
		}.lines(
			query{perHost(nil, stalls("host")), "host {{host}}"},
			query{promql.Aggregate("max", byInstance, stalls("cgroup")), "cgroup ({{instance}})"},
		))
	}
	return panels
}

// quantiles returns queries for the median and the 99th percentile of the histogram m by instance.
func quantiles(m *catalog.Metric, name string, matchers ...promql.Matcher) []query {
	return []query{
		{inScope.Quantile(0.5, byInstance, m, matchers...), name + "p50 ({{instance}})"},
		{inScope.Quantile(0.99, byInstance, m, matchers...), name + "p99 ({{instance}})"},
	}
}

func cpuProbes() []panel {
	return []panel{
		chart{
			title:  "CPU stretch",
			unit:   "none",
			width:  8,
			height: 8,
			limits: steps(1.5, 3),
			none:   "the CPU probe is off",
			help:   "Wall time over CPU time of a thread that computes for 5 ms: 1 on an idle core, 2 if half of the time went to other threads.",
		}.lines(quantiles(catalog.ProbeCPUStretch, "")...),
		chart{
			title: "Run delay", unit: "s", width: 8, height: 8, sparse: []*catalog.Metric{catalog.ProbeCPURunDelay},
			help: "How long the probe's thread was ready and waited for a CPU, in a run of 5 ms.",
		}.lines(quantiles(catalog.ProbeCPURunDelay, "")...),
		chart{
			title:  "Effective parallelism",
			unit:   "short",
			width:  8,
			height: 8,
			none:   "the parallelism probe is off",
			help:   "CPUs that a burst of threads got, against those that it could use: the parallelism available to a pool of CPU-bound tasks.",
			bounds: []query{
				{
					promql.Aggregate("max", byInstance, inScope.Value(catalog.ProbeParallelismRequested)),
					"requested ({{instance}})",
				},
			},
		}.lines(
			query{promql.Aggregate("min", byInstance, inScope.Value(catalog.ProbeParallelism)), "got ({{instance}})"},
		),
	}
}

func otherProbes() []panel {
	target := []string{promql.Label(catalog.ProbeNameKey), promql.Label(catalog.ProbeTargetKey)}
	legend := "{{" + target[0] + "}} {{" + target[1] + "}}"
	disk := promql.Is(catalog.ProbeNameKey, "disk")
	phase := func(name string) []promql.Matcher {
		return []promql.Matcher{disk, promql.Is(catalog.ProbePhaseKey, name)}
	}
	total := promql.Is(catalog.ProbePhaseKey, "total")
	ok := promql.Sum(target, inScope.Rate(catalog.ProbeRuns, promql.Is(semconv.ErrorTypeKey, "")))
	all := promql.Sum(target, inScope.Rate(catalog.ProbeRuns))
	return []panel{
		chart{
			title:  "Disk sync",
			unit:   "s",
			width:  8,
			height: 8,
			limits: steps(0.05, 0.1),
			none:   "the disk probe is off",
			help:   "How long the disk takes to make 4 KiB durable (fdatasync). A commit or a log that is flushed to the disk waits this long.",
		}.lines(quantiles(catalog.ProbeDuration, "", phase("sync")...)...),
		chart{
			title: "Probes, p99", unit: "s", width: 8, height: 8, none: "every probe is off",
			help: "Total duration of a probe's run, from its intended start, by probe and target.",
		}.lines(query{inScope.Quantile(0.99, target, catalog.ProbeDuration, total), legend}),
		chart{
			title:  "Probes that failed",
			unit:   "percentunit",
			width:  8,
			height: 8,
			top:    cog.ToPtr(1.0),
			limits: steps(0.01, 0.1),
			none:   "every probe is off",
			help:   "Share of the runs that ended in an error, such as a timeout, a refused connection, an unknown name or a full disk.",
		}.lines(query{"1 - (" + ok + " or 0 * " + all + ") / " + all, legend}),
	}
}

func processPanels() []panel {
	by := append([]string{promql.Label(semconv.ProcessExecutableNameKey)}, byInstance...)
	legend := "{{" + by[0] + "}} ({{instance}})"
	return []panel{
		chart{
			title:  "CPU by process",
			unit:   "short",
			width:  8,
			height: 8,
			help:   "CPUs that the pod's processes and the sidecar itself use.",
		}.
			areas(
				query{promql.Sum(by, inScope.Rate(catalog.ProcessCPUTime)), legend},
			),
		chart{
			title:  "Waiting for a CPU",
			unit:   "short",
			width:  8,
			height: 8,
			sparse: []*catalog.Metric{catalog.ProcessRunQueueTime},
			help:   "Average number of threads of a process that are ready and wait for a CPU. Includes throttling.",
		}.lines(query{promql.Sum(by, inScope.Rate(catalog.ProcessRunQueueTime)), legend}),
		chart{title: "Resident memory", unit: "bytes", width: 8, height: 8, help: "Resident memory by process."}.
			lines(query{promql.Sum(by, inScope.Value(catalog.ProcessMemoryUsage)), legend}),
	}
}

func hostPanels() []panel {
	mode := promql.Labels(semconv.CPUModeKey)
	state := promql.Labels(semconv.SystemMemoryStateKey)
	const off = "host metrics are off (--host=false)"
	return []panel{
		chart{
			title:  "CPU",
			unit:   "short",
			width:  8,
			height: 8,
			none:   off,
			help:   "CPUs of whole nodes by mode. Each node counts once, however many sidecars it has. steal: the hypervisor gave the time to another machine.",
		}.areas(query{
			promql.Sum(
				mode,
				perHost(mode, inScope.Rate(catalog.SystemCPUTime, promql.Not(semconv.CPUModeKey, "idle"))),
			),
			"{{" + mode[0] + "}}",
		}),
		chart{
			title:  "Load",
			unit:   "short",
			width:  8,
			height: 8,
			none:   off,
			help:   "Threads that run or wait for a CPU or a disk, averaged over one minute, against the CPUs of the node.",
			bounds: []query{{perHost(nil, inScope.Value(catalog.SystemCPULogicalCount)), "CPUs ({{host}})"}},
		}.lines(
			query{perHost(nil, inScope.Value(catalog.SystemLoad1)), "load ({{host}})"},
		),
		chart{
			title:  "Memory",
			unit:   "bytes",
			width:  8,
			height: 8,
			none:   off,
			help:   "Memory of the node by state; used, free, cached and buffers add up to the total.",
		}.
			areas(
				query{
					promql.Sum(state, perHost(state, inScope.Value(catalog.SystemMemoryUsage))),
					"{{" + state[0] + "}}",
				},
			),
	}
}
