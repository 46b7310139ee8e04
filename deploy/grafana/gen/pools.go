package main

import (
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

// interval is Grafana's variable for the range of rates, which covers at least four samples.
const interval = "$__rate_interval"

// inPools writes the queries of the pools dashboard, for the selected pools.
var inPools = promql.Queries{Scope: scope + `,` + poolLabel + `=~"$pool"`, Range: interval}

// The labels by which the pools dashboard aggregates. A pool is identified by its service and its
// name; a part of a pool, such as a client's pool for one host, is also identified by the host. The
// values of all instances of a service are added up.
var (
	byName     = []string{jobLabel, poolLabel}
	byPool     = append(slices.Clip(byName), hostLabels...)
	byPoolKind = append(slices.Clip(byPool), kindLabel)
	hostLabels = promql.Labels(semconv.ServerAddressKey, semconv.ServerPortKey)
	poolLegend = "{{" + poolLabel + "}} {{" + hostLabels[0] + "}} ({{" + jobLabel + "}})"
)

var (
	used     = promql.Is(catalog.PoolStateKey, "used")
	acquired = promql.Is(catalog.PoolOutcomeKey, "acquired")
	unserved = promql.Not(catalog.PoolOutcomeKey, "acquired")
	failed   = promql.Not(catalog.PoolOutcomeKey, "ok")
)

// utilization returns a query for the slot-seconds used divided by the slot-seconds available. For
// pools that do not report slot-seconds, it is the average number of slots in use divided by the
// limit. The same is used for instances that did not exist at the beginning of the range, since
// their rates would be too low. Numerator and denominator include only current instances.
func utilization(q promql.Queries, by []string) string {
	limit := q.Value(catalog.PoolLimit)
	before := q.Before(catalog.PoolLimit)
	sampled := promql.Without(promql.Labels(catalog.PoolStateKey), q.Over("avg_over_time", catalog.PoolUsage, used))
	each := q.Rate(catalog.PoolUseTime) + " and " + before + " or " + sampled
	return promql.Sum(by, "("+each+") and "+limit) + " / " + promql.Sum(by, limit)
}

func pools() dashboard.Dashboard {
	pool := choice("pool", "Pool", promql.Name(catalog.PoolUsage)+`{`+scope+`}`, poolLabel)
	return newDashboard(
		poolsUID,
		"poolgauge / Pools",
		"Every pool of every kind: utilization, saturation and errors. Choose a pool to see it alone.",
		promql.Name(catalog.PoolUsage),
		[]row{
			{"At a glance", append(poolNumbers(), poolTable())},
			{"Utilization", poolUtilization()},
			{"Saturation", poolSaturation()},
			{"Why a pool is full, and which limit would suit it", poolVerdicts()},
			{"Errors", poolErrors()},
			{"Use", poolUse()},
		},
		pool,
	)
}

func poolNumbers() []panel {
	small := func(c chart) chart {
		c.width, c.height = 4, 4
		return c
	}
	return []panel{
		small(
			chart{
				title: "Pools",
				help:  "Pools of the selected services that report metrics.",
				unit:  "short",
			},
		).
			number(query{"count(" + promql.Aggregate("group", byName, inPools.Value(catalog.PoolUsage)) + ")", ""}),
		small(chart{
			title:  "Busiest pool",
			unit:   "percentunit",
			limits: steps(0.8, 0.95),
			top:    cog.ToPtr(1.0),
			sparse: []*catalog.Metric{catalog.PoolLimit},
			help:   "Highest utilization of a pool: slot-seconds used over slot-seconds available. Near 100%, requests wait.",
		}).number(query{"max(" + utilization(inPools, byPool) + ")", ""}),
		small(
			chart{
				title:  "Waiting now",
				help:   "Callers and tasks that are waiting for a slot now, in all selected pools.",
				unit:   "short",
				limits: steps(1, 10),
			},
		).
			number(query{"sum(" + inPools.Value(catalog.PoolPending) + ")", ""}),
		small(chart{
			title:  "Wait, p99",
			unit:   "s",
			limits: steps(0.1, 1),
			none:   "no requests",
			help:   "99% of requests got their slot, or gave up, within this time. Requests served immediately count as 0.",
		}).number(query{inPools.Quantile(0.99, nil, catalog.PoolWaitDuration), ""}),
		small(chart{
			title:  "Not served",
			unit:   "reqps",
			limits: steps(0.001, 1),
			help:   "Requests per second that got no slot: rejected by a full pool, timed out, canceled, or too late for a closed pool.",
		}).number(query{"sum(" + inPools.Rate(catalog.PoolRequests, unserved) + ")", ""}),
		small(chart{
			title: "Failed uses", unit: "percentunit", limits: steps(0.01, 0.05), none: "no pool reports outcomes",
			help: "Share of the uses that ended in an error, a panic or runtime.Goexit.",
		}).number(query{"sum(" + inPools.Rate(catalog.PoolCompleted, failed) + ") / sum(" + inPools.Rate(catalog.PoolCompleted) + ")", ""}),
	}
}

func poolTable() panel {
	here := map[string]string{"job": "Service", "pool": "Pool"}
	return chart{
		title: "All pools", width: 24, height: 8,
		help: "Every pool, the busiest first. Click a pool to see it alone.",
	}.table([]label{
		{"Pool", poolLabel, linkTo("Show only this pool", poolsUID, here)},
		{"Host", hostLabels[0], nil},
		{"Port", hostLabels[1], nil},
		{"Service", jobLabel, nil},
		{"Kind", kindLabel, nil},
	}, []column{
		{"Utilization", utilization(inPools, byPoolKind), "percentunit", steps(0.8, 0.95), true},
		{"Used", promql.Sum(byPoolKind, inPools.Value(catalog.PoolUsage, used)), "short", nil, false},
		{"Limit", promql.Sum(byPoolKind, inPools.Value(catalog.PoolLimit)), "short", nil, false},
		{"Waiting", promql.Sum(byPoolKind, inPools.Value(catalog.PoolPending)), "short", steps(1, 10), false},
		{"Wait, p99", inPools.Quantile(0.99, byPoolKind, catalog.PoolWaitDuration), "s", steps(0.1, 1), false},
		{"Use, p50", inPools.Quantile(0.5, byPoolKind, catalog.PoolUseDuration), "s", nil, false},
		{"Served", promql.Sum(byPoolKind, inPools.Rate(catalog.PoolRequests, acquired)), "reqps", nil, false},
		{
			"Not served",
			promql.Sum(byPoolKind, inPools.Rate(catalog.PoolRequests, unserved)),
			"reqps",
			steps(0.001, 1),
			false,
		},
	})
}

func poolUtilization() []panel {
	return []panel{
		chart{
			title:  "Utilization",
			unit:   "percentunit",
			width:  12,
			height: 8,
			limits: steps(0.8, 0.95),
			sparse: []*catalog.Metric{catalog.PoolLimit},
			help:   "Slot-seconds used over slot-seconds available. A pool without a limit has none. Above 80%, waits grow fast with each additional request.",
		}.lines(query{utilization(inPools, byPool), poolLegend}),
		chart{
			title:  "Slots",
			unit:   "short",
			width:  12,
			height: 8,
			help:   "Slots of the selected pools by state, and the limit. If pools differ in size, choose one: the sum means little.",
			bounds: []query{{"sum(" + inPools.Value(catalog.PoolLimit) + ")", "limit"}},
		}.lines(
			query{
				promql.Sum(promql.Labels(catalog.PoolStateKey), inPools.Value(catalog.PoolUsage)),
				"{{" + promql.Label(catalog.PoolStateKey) + "}}",
			},
		),
	}
}

func poolSaturation() []panel {
	return []panel{
		chart{
			title:  "Waiting",
			unit:   "short",
			width:  8,
			height: 8,
			help:   "Callers and tasks that are waiting for a slot. A sample shows one moment: short waits appear only in the wait times.",
		}.lines(query{promql.Sum(byPool, inPools.Value(catalog.PoolPending)), poolLegend}),
		chart{
			title: "Oldest wait", unit: "s", width: 8, height: 8, sparse: []*catalog.Metric{catalog.PoolPendingAge},
			help: "How long the oldest waiting caller or task has waited. " +
				"If it grows by a second each second, the queue does not move.",
		}.lines(query{
			// The age is absent when no caller waits.
			promql.Aggregate(
				"max",
				byPool,
				inPools.Value(catalog.PoolPendingAge),
			) + " and " + promql.Sum(
				byPool,
				inPools.Value(catalog.PoolPending),
			) + " > 0",
			poolLegend,
		}),
		chart{
			title:  "Wait, p99, by pool",
			unit:   "s",
			width:  8,
			height: 8,
			none:   "no requests",
			help:   "99% of requests got their slot, or gave up, within this time. For pools that report only the number and the total time of waits, such as sql, it is the mean wait.",
		}.lines(
			query{inPools.Quantile(0.99, byPool, catalog.PoolWaitDuration), poolLegend},
			query{
				promql.Sum(
					byPool,
					inPools.Rate(catalog.PoolWaitTime),
				) + " / (" + promql.Sum(
					byPool,
					inPools.Rate(catalog.PoolWaits),
				) + " > 0)",
				poolLegend + ", mean",
			},
		),
		chart{
			title:     "Wait, selected pools",
			unit:      "s",
			width:     12,
			height:    8,
			none:      "no requests",
			help:      "Quantiles of the time from a request until it is granted or abandoned, over the selected pools. Dots are exemplars: the longest waits of requests in sampled traces.",
			exemplars: true,
		}.lines(
			query{inPools.Quantile(0.5, nil, catalog.PoolWaitDuration), "p50"},
			query{inPools.Quantile(0.95, nil, catalog.PoolWaitDuration), "p95"},
			query{inPools.Quantile(0.99, nil, catalog.PoolWaitDuration), "p99"},
		),
		chart{
			title:  "Waits",
			unit:   "s",
			width:  12,
			height: 8,
			none:   "no requests",
			help:   "How many requests waited how long. Two bands mean two kinds of request; a band that rises means a growing queue.",
		}.heatmap(inPools.Buckets(catalog.PoolWaitDuration)),
	}
}

func poolVerdicts() []panel {
	verdict := promql.Labels(catalog.VerdictKey)
	judged := promql.Not(catalog.VerdictKey, "undetermined")
	return []panel{
		chart{
			title:  "Verdicts",
			unit:   "short",
			width:  24,
			height: 8,
			sparse: []*catalog.Metric{catalog.PoolVerdict},
			help: "The verdict on each pool; docs/verdicts.md says what decides each verdict, and what to do. " +
				"Each verdict that has held has a row.",
		}.states(
			query{
				promql.Sum(slices.Concat(byPool, verdict), inPools.Value(catalog.PoolVerdict, judged)),
				poolLegend + " {{" + verdict[0] + "}}",
			},
			".* (ok|oversized)$",
		),
		chart{
			title:  "Limit, current and recommended",
			unit:   "short",
			width:  8,
			height: 8,
			sparse: []*catalog.Metric{catalog.PoolLimitRecommended},
			help: "The recommended limit; the current one is dashed. Nothing is recommended while the cause is undetermined, " +
				"or is not the limit. It moves in steps: look again after a change.",
			bounds: []query{{promql.Sum(byPool, inPools.Value(catalog.PoolLimit)), poolLegend + " limit"}},
		}.lines(query{promql.Sum(byPool, inPools.Value(catalog.PoolLimitRecommended)), poolLegend + " recommended"}),
		chart{
			title:  "Limit changes",
			unit:   "short",
			width:  8,
			height: 8,
			sparse: []*catalog.Metric{catalog.PoolLimitChanges},
			help: "How often the limit was changed, by the program or by autosize. Changes that never stop mean that " +
				"two controllers compete, or that the bounds are too wide.",
		}.lines(query{promql.Sum(byPool, inPools.Increase(catalog.PoolLimitChanges)), poolLegend}),
		chart{
			title: "Oldest use", unit: "s", width: 8, height: 8, sparse: []*catalog.Metric{catalog.PoolUseAge},
			help: "How long the oldest use in progress has lasted. If it grows by a second each second, " +
				"that use does not end: its exemplars, and the app's log, name the holders.",
		}.lines(query{promql.Aggregate("max", byPool, inPools.Value(catalog.PoolUseAge)), poolLegend}),
	}
}

func poolErrors() []panel {
	outcome := promql.Labels(catalog.PoolOutcomeKey)
	legend := "{{" + promql.Label(catalog.PoolOutcomeKey) + "}}"
	events := promql.Labels(catalog.PoolEventKey, catalog.PoolReasonKey)
	return []panel{
		chart{
			title:  "Requests not served",
			unit:   "reqps",
			width:  8,
			height: 8,
			help:   "Requests that got no slot: rejected by a full pool, timed out or canceled while they waited, or too late for a closed pool.",
		}.lines(query{promql.Sum(outcome, inPools.Rate(catalog.PoolRequests, unserved)), legend}),
		chart{
			title: "Failed uses", unit: "ops", width: 8, height: 8, none: "no pool reports the outcome of its uses",
			help: "Uses that ended in an error, a panic or runtime.Goexit.",
		}.lines(query{promql.Sum(outcome, inPools.Rate(catalog.PoolCompleted, failed)), legend}),
		chart{
			title:  "Resources created and closed",
			unit:   "ops",
			width:  8,
			height: 8,
			sparse: []*catalog.Metric{catalog.PoolResources},
			help:   "Connections and other resources by event and reason. If many are created and closed at the same time, the pool keeps too few idle.",
		}.lines(query{
			promql.Sum(events, inPools.Rate(catalog.PoolResources)),
			"{{" + events[0] + "}} {{" + events[1] + "}}",
		}),
	}
}

func poolUse() []panel {
	state := promql.Labels(catalog.PoolStateKey)
	return []panel{
		chart{title: "Served", unit: "reqps", width: 8, height: 8, help: "Requests per second that got their slot."}.
			lines(query{promql.Sum(byPool, inPools.Rate(catalog.PoolRequests, acquired)), poolLegend}),
		chart{
			title:  "Use time, selected pools",
			unit:   "s",
			width:  8,
			height: 8,
			none:   "no pool reports the duration of its uses",
			help:   "How long a task runs, or a lease or permit is held. If this grows, a pool fills up without more requests.",
		}.lines(
			query{inPools.Quantile(0.5, nil, catalog.PoolUseDuration), "p50"},
			query{inPools.Quantile(0.95, nil, catalog.PoolUseDuration), "p95"},
			query{inPools.Quantile(0.99, nil, catalog.PoolUseDuration), "p99"},
		),
		chart{
			title:  "What uses do",
			unit:   "short",
			width:  8,
			height: 8,
			sparse: []*catalog.Metric{catalog.PoolUseCPUTime},
			help: "Slots by what their threads do, sampled: on a CPU, ready and waiting for one, or blocked on something else. " +
				"Much run_queue: more CPU is needed, not more workers. Much blocked: more workers help, if the downstream can handle them.",
		}.areas(query{promql.Sum(state, inPools.Rate(catalog.PoolUseCPUTime)), "{{" + state[0] + "}}"}),
	}
}
