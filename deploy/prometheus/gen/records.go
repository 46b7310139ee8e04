package main

import (
	"slices"
	"strconv"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

// The objective of waits, the same for every pool: so many of the requests within so many seconds.
const (
	objectiveSeconds = 0.1
	objectiveShare   = 0.99
)

// The labels by which rules keep things apart: where it is, and what it is there.
var (
	cluster   = promql.Label(semconv.K8SClusterNameKey)
	namespace = promql.Label(semconv.K8SNamespaceNameKey)
	pod       = promql.Label(semconv.K8SPodNameKey)
	pool      = promql.Label(catalog.PoolNameKey)
	path      = promql.Label(catalog.CgroupPathKey)

	byNamespace = []string{cluster, namespace}
	byPod       = []string{cluster, namespace, pod}
	byInstance  = append(slices.Clone(byPod), "job", "instance")
	byPool      = append(slices.Clone(byInstance), pool, promql.Label(catalog.PoolKindKey))
	byGroup     = append(slices.Clone(byInstance), path)
)

// The names of the recording rules, by Prometheus' convention level:metric:operations.
const (
	recordUtilisation = "pool:poolgauge_utilisation:ratio_rate5m"
	recordUsed        = "pool:poolgauge_used:min15m"
	recordPending     = "pool:poolgauge_pending:avg5m"
	recordAcquired    = "pool:poolgauge_acquired:rate15m"
	recordSlowWaits   = "pool:poolgauge_waits_over_objective:ratio_rate" // and the range
	recordThrottled   = "cgroup:poolgauge_throttled:ratio_rate5m"
	recordMemory      = "cgroup:poolgauge_memory:ratio"
)

// over are queries over a range.
func over(window string) promql.Queries { return promql.Queries{Range: window} }

// now are queries without a range.
var now promql.Queries

var used = promql.Is(catalog.PoolStateKey, "used")

func records() []rule {
	limit := promql.Sum(byPool, now.Value(catalog.PoolLimit))
	workingSet := promql.Sum(byGroup, now.Value(catalog.ContainerMemoryWorkingSet)) + " or " + promql.Sum(byGroup, now.Value(catalog.CgroupMemoryWorkingSet))
	list := []rule{
		{Record: recordUtilisation, Expr: promql.Sum(byPool, over("5m").Rate(catalog.PoolUseTime)) + " / " + limit +
			" or " + promql.Sum(byPool, over("5m").Over("avg_over_time", catalog.PoolUsage, used)) + " / " + limit},
		{Record: recordUsed, Expr: promql.Sum(byPool, over("15m").Over("min_over_time", catalog.PoolUsage, used))},
		// Of a pool that does not say how many wait, the time waited a second is their mean number, by Little's law.
		{Record: recordPending, Expr: promql.Sum(byPool, over("5m").Over("avg_over_time", catalog.PoolPending)) +
			" or " + promql.Sum(byPool, over("5m").Rate(catalog.PoolWaitTime))},
		{Record: recordAcquired, Expr: promql.Sum(byPool, over("15m").Rate(catalog.PoolRequests, promql.Is(catalog.PoolOutcomeKey, "acquired")))},
	}
	for _, b := range burns {
		for _, window := range []string{b.short, b.long} {
			list = append(list, rule{
				Record: recordSlowWaits + window,
				Expr:   "1 - (" + over(window).ShareBelow(objectiveSeconds, byPool, catalog.PoolWaitDuration) + ")",
			})
		}
	}
	return append(list,
		rule{Record: recordThrottled, Expr: promql.Sum(byGroup, over("5m").Rate(catalog.CgroupCPUThrottledPeriods)) +
			" / " + promql.Sum(byGroup, over("5m").Rate(catalog.CgroupCPUPeriods))},
		rule{Record: recordMemory, Expr: "(" + workingSet + ") / " + promql.Sum(byGroup, now.Value(catalog.CgroupMemoryLimit))},
	)
}

// burn is how fast the budget of slow waits is used up, and over which windows: the long one says that it matters, the short one that it
// still goes on. Factors and windows are those of the SRE workbook, chapter 5, for a budget of 30 days.
type burn struct {
	factor      float64
	short, long string
	severity    string
}

var burns = []burn{{14.4, "5m", "1h", critical}, {6, "30m", "6h", warning}}

// expr holds for pools that use up their budget as fast as b says.
func (b burn) expr() string {
	threshold := strconv.FormatFloat(b.factor*(1-objectiveShare), 'g', 4, 64)
	return recordSlowWaits + b.short + " > " + threshold + " and " + recordSlowWaits + b.long + " > " + threshold
}
