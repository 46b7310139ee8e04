package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

// The labels by which the fleet dashboard aggregates. It lists pools per instance, since a sum over
// the instances of a service would hide a stuck pool.
var (
	byProcess          = []string{clusterLabel, namespaceLabel, podLabel, jobLabel, instanceLabel}
	byProcessAndPool   = append(append([]string(nil), byProcess...), poolLabel, kindLabel)
	byProcessAndCgroup = append(append([]string(nil), byProcess...), pathLabel)
)

// maxRows is the maximum number of rows in a table of the worst pools or containers.
const maxRows = 15

func top(expr string) string { return fmt.Sprintf("topk(%d, %s)", maxRows, expr) }

func fleet() dashboard.Dashboard {
	return newDashboard(
		fleetUID,
		"poolgauge / Fleet",
		"The worst pools of a cluster, the containers that are throttled or short of memory, and how the sidecars fare.",
		promql.Name(catalog.ProcessCPUTime),
		[]row{
			{"At a glance", fleetNumbers()},
			{"The worst", []panel{worstPools(), worstContainers()}},
			{"Sidecars: what happens to the items", relayPanels()},
			{"Sidecars: what they cost", costPanels()},
		},
	)
}

func fleetNumbers() []panel {
	small := func(c chart) chart {
		c.width, c.height = 4, 4
		return c
	}
	return []panel{
		small(
			chart{
				title: "Pools",
				unit:  "short",
				help:  "Pools that report, counted separately for each instance.",
				none:  "no app reports yet",
			},
		).
			number(query{
				"count(" + promql.Aggregate("group", byProcessAndPool, inScope.Value(catalog.PoolUsage)) + ")", "",
			}),
		small(
			chart{
				title:  "Pools nearly full",
				unit:   "short",
				limits: steps(1, 5),
				none:   "no app reports yet",
				help:   "Pools with more than 80% of their slots in use.",
			},
		).
			number(query{"sum(" + "(" + utilization(inScope, byProcessAndPool) + ") > bool 0.8)", ""}),
		small(
			chart{
				title:  "Throttled cgroups",
				unit:   "short",
				limits: steps(1, 5),
				sparse: []*catalog.Metric{catalog.CgroupCPUPeriods},
				help:   "Cgroups that were throttled in more than one in ten periods.",
			},
		).
			number(query{"sum(" + throttled(inScope, byProcessAndCgroup) + " > bool 0.1)", ""}),
		small(
			chart{
				title:  "OOM kills",
				unit:   "short",
				limits: steps(0.5, 1),
				none:   "no cgroup is visible",
				help:   "OOM kills that visible cgroups counted in the interval. With cgroup v2, each cgroup above the process counts the kill too.",
			},
		).
			number(query{"sum(" + inScope.Increase(catalog.CgroupMemoryEvents, promql.Is(catalog.CgroupEventKey, "oom_kill")) + ")", ""}),
		small(chart{title: "Sidecars", unit: "short", help: "Sidecars that report."}).
			number(query{
				"count(" + promql.Aggregate("group", byProcess, inScope.Value(catalog.SourceSuccess)) + ")", "",
			}),
		small(
			chart{
				title:  "Upstream not accepting",
				unit:   "short",
				limits: steps(0.5, 1),
				sparse: []*catalog.Metric{catalog.UpstreamAvailable},
				help:   "Lanes whose items the upstream is not accepting. Each sidecar has a lane for each signal of the app, and one for its own points. Items are queued and retried; a response such as 401 or 404 is retried only for --upstream-hold.",
			},
		).
			number(query{"sum(" + inScope.Value(catalog.UpstreamAvailable) + " == bool 0)", ""}),
	}
}

func worstPools() panel {
	here := map[string]string{"job": "Service", "instance": "Instance", "pool": "Pool"}
	return chart{
		title: "Busiest pools", width: 24, height: 9, none: "no app reports yet",
		help: "The busiest pools of all instances. Click a pool to see it alone.",
	}.table([]label{
		{"Pool", poolLabel, linkTo("Show only this pool", poolsUID, here)},
		{"Service", jobLabel, nil},
		{"Kind", kindLabel, nil},
		{"Namespace", namespaceLabel, nil},
		{"Pod", podLabel, nil},
		{"Instance", instanceLabel, nil},
		{"Cluster", clusterLabel, nil},
	}, []column{
		{"Utilization", top(utilization(inScope, byProcessAndPool)), "percentunit", steps(0.8, 0.95), true},
		{
			"Waiting",
			top(promql.Sum(byProcessAndPool, inScope.Value(catalog.PoolPending))),
			"short",
			steps(1, 10),
			false,
		},
		{
			"Oldest wait",
			top(promql.Aggregate("max", byProcessAndPool, inScope.Value(catalog.PoolPendingAge))),
			"s",
			steps(10, 60),
			false,
		},
		{
			"Wait, p99",
			top("(" + inScope.Quantile(0.99, byProcessAndPool, catalog.PoolWaitDuration) + ")"),
			"s",
			steps(0.1, 1),
			false,
		},
		{
			"Not served",
			top(promql.Sum(byProcessAndPool, inScope.Rate(catalog.PoolRequests, unserved))),
			"reqps",
			steps(0.001, 1),
			false,
		},
	})
}

func worstContainers() panel {
	here := map[string]string{"instance": "Instance"}
	return chart{
		title:  "Cgroups by throttling and memory",
		width:  24,
		height: 9,
		none:   "no cgroup has a limit",
		help:   "Containers and their ancestors, the most throttled first. Click an instance for its host and containers.",
	}.table([]label{
		{"Instance", instanceLabel, linkTo("Show its host and containers", hostUID, here)},
		{"Cgroup", pathLabel, nil},
		{"Namespace", namespaceLabel, nil},
		{"Pod", podLabel, nil},
		{"Service", jobLabel, nil},
		{"Cluster", clusterLabel, nil},
	}, []column{
		{"Throttled", top(throttled(inScope, byProcessAndCgroup)), "percentunit", steps(0.1, 0.5), true},
		{"CPUs used", top("(" + cpus(inScope, byProcessAndCgroup) + ")"), "short", nil, false},
		{"Quota", top(promql.Sum(byProcessAndCgroup, inScope.Value(catalog.CgroupCPULimit))), "short", nil, false},
		{
			"Memory against limit",
			top("(" + memoryShare(inScope, byProcessAndCgroup) + ")"),
			"percentunit",
			steps(0.8, 0.95),
			true,
		},
	})
}

func relayPanels() []panel {
	outcome := promql.Labels(catalog.PointOutcomeKey)
	legend := "{{" + outcome[0] + "}}"
	loss := []string{"rejected", "dropped", "refused"}
	return []panel{
		chart{
			title:  "Items",
			unit:   "cps",
			width:  8,
			height: 8,
			help:   "Items (metric points, spans and log records) per second, by outcome. In an outage, sent falls behind accepted, and the queue grows.",
		}.lines(query{
			promql.Sum(outcome, inScope.Rate(catalog.RelayPoints, promql.Not(catalog.PointOutcomeKey, loss...))),
			legend,
		}),
		chart{
			title:  "Items lost",
			unit:   "cps",
			width:  8,
			height: 8,
			limits: steps(0.001, 1),
			none:   "none lost",
			help:   "rejected: by the upstream, permanently. dropped: the queue was full or damaged. refused: never accepted; clients retry some of them.",
		}.lines(query{
			promql.Sum(
				promql.Labels(catalog.PointOutcomeKey, catalog.PointReasonKey),
				inScope.Rate(catalog.RelayPoints, promql.Is(catalog.PointOutcomeKey, loss...)),
			),
			legend + " {{" + promql.Label(catalog.PointReasonKey) + "}}",
		}),
		chart{
			title:  "Queue against its limit",
			unit:   "percentunit",
			width:  8,
			height: 8,
			top:    cog.ToPtr(1.0),
			limits: steps(0.5, 0.9),
			help:   "Size of the data that waits for the upstream, relative to the limit. When the queue is full, clients wait while the upstream accepts; otherwise the oldest items are dropped.",
		}.lines(query{
			top(
				share(
					promql.Sum(byProcess, inScope.Value(catalog.RelayQueueUsage)),
					promql.Sum(byProcess, inScope.Value(catalog.RelayQueueLimit)),
				),
			),
			"{{instance}}",
		}),
		chart{
			title:  "Oldest queued item",
			unit:   "s",
			width:  8,
			height: 8,
			limits: steps(60, 600),
			sparse: []*catalog.Metric{catalog.RelayQueueAge},
			help:   "How long the oldest item has waited for the upstream: how far behind the dashboards are.",
		}.lines(query{
			// The age is absent as soon as the lane is empty.
			top(
				promql.Aggregate(
					"max",
					byProcess,
					inScope.Value(catalog.RelayQueueAge),
				) + " and " + promql.Sum(
					byProcess,
					inScope.Value(catalog.RelayQueueUsage),
				) + " > 0",
			),
			"{{instance}}",
		}),
		chart{
			title: "Export", unit: "s", width: 8, height: 8, sparse: []*catalog.Metric{catalog.ExportDuration},
			help: "How long the upstream takes to respond.",
		}.lines(
			query{inScope.Quantile(0.5, nil, catalog.ExportDuration), "p50"},
			query{inScope.Quantile(0.99, nil, catalog.ExportDuration), "p99"},
		),
		chart{
			title:  "Values that could not be read",
			unit:   "ops",
			width:  8,
			height: 8,
			limits: steps(0.001, 1),
			none:   "every value was read",
			help:   "Values that a source could not read or parse; each costs only its own metric. The sidecar's log has the reason.",
		}.lines(query{
			promql.Sum(
				promql.Labels(catalog.SourceKey),
				inScope.Rate(catalog.SourceErrors),
			),
			"{{" + promql.Label(catalog.SourceKey) + "}}",
		}),
	}
}

func costPanels() []panel {
	// in older images, the sidecar's executable is called "program"
	self := promql.Is(semconv.ProcessExecutableNameKey, "sidecar", "program")
	probe := promql.Labels(catalog.ProbeNameKey)
	return []panel{
		chart{
			title:  "CPU of a sidecar",
			unit:   "percentunit",
			width:  8,
			height: 8,
			help:   "Share of one CPU that the busiest sidecars use.",
		}.
			lines(
				query{top(promql.Sum(byProcess, inScope.Rate(catalog.ProcessCPUTime, self))), "{{instance}}"},
			),
		chart{
			title:  "Memory of a sidecar",
			unit:   "bytes",
			width:  8,
			height: 8,
			help:   "Resident memory of the largest sidecars.",
		}.
			lines(
				query{top(promql.Sum(byProcess, inScope.Value(catalog.ProcessMemoryUsage, self))), "{{instance}}"},
			),
		chart{
			title:  "CPU of the probes",
			unit:   "percentunit",
			width:  8,
			height: 8,
			none:   "every probe is off",
			help:   "CPU time of each probe, as a share of one CPU, averaged over the sidecars. It is included in the CPU of a sidecar.",
		}.lines(query{promql.Aggregate("avg", probe, promql.Sum(append(probe, byProcess...), inScope.Rate(catalog.ProbeCost))), "{{" + probe[0] + "}}"}),
	}
}
