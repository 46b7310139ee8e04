package promql

import (
	"slices"
	"testing"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

func TestName(t *testing.T) {
	for want, m := range map[string]*catalog.Metric{
		"poolgauge_pool_use_time_seconds_total":          catalog.PoolUseTime,
		"poolgauge_pool_limit":                           catalog.PoolLimit,
		"poolgauge_pool_wait_duration_seconds":           catalog.PoolWaitDuration,
		"poolgauge_source_success_ratio":                 catalog.SourceSuccess,
		"poolgauge_probe_cpu_stretch":                    catalog.ProbeCPUStretch,
		"poolgauge_cgroup_memory_limit_bytes":            catalog.CgroupMemoryLimit,
		"process_context_switches_total":                 catalog.ProcessContextSwitches,
		"poolgauge_probe_cpu_run_delay_seconds":          catalog.ProbeCPURunDelay,
		"system_cpu_load_average_1m":                     catalog.SystemLoad1,
		"poolgauge_process_run_queue_time_seconds_total": catalog.ProcessRunQueueTime,
	} {
		if got := Name(m); got != want {
			t.Errorf("Name(%s) = %s, want %s", m.Name, got, want)
		}
	}
}

func TestLabelsHaveUnderscores(t *testing.T) {
	if got := Labels(
		catalog.PoolNameKey,
		catalog.PoolStateKey,
	); !slices.Equal(
		got,
		[]string{"poolgauge_pool_name", "poolgauge_pool_state"},
	) {
		t.Errorf("got %q, want the keys with underscores", got)
	}
}

func TestQueries(t *testing.T) {
	q := Queries{Scope: `job=~"$job"`, Range: "5m"}
	used := Is(catalog.PoolStateKey, "used")
	for want, got := range map[string]string{
		`last_over_time(poolgauge_pool_usage{job=~"$job",poolgauge_pool_state="used"}[2m])`: q.Value(catalog.PoolUsage, used),
		`max_over_time(poolgauge_pool_pending[5m])`:                                         Queries{Range: "5m"}.Over("max_over_time", catalog.PoolPending),
		`rate(poolgauge_pool_requests_total{job=~"$job",poolgauge_pool_outcome!~"acquired|closed"}[5m])`: q.Rate(
			catalog.PoolRequests, Not(catalog.PoolOutcomeKey, "acquired", "closed")),
		`last_over_time(poolgauge_pool_limit[2m] offset 5m)`: Queries{Range: "5m"}.Before(catalog.PoolLimit),
		`sum without (job) (x)`:                              Without([]string{"job"}, "x"),
		`sum by (job) (x)`:                                   Sum([]string{"job"}, "x"),
		`max(x)`:                                             Aggregate("max", nil, "x"),
		`histogram_quantile(0.99, sum by (job) (rate(poolgauge_pool_wait_duration_seconds{job=~"$job"}[5m]))) or ` +
			`histogram_quantile(0.99, sum by (le, job) (rate(poolgauge_pool_wait_duration_seconds_bucket{job=~"$job"}[5m])))`: q.Quantile(
			0.99, []string{"job"}, catalog.PoolWaitDuration),
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestQueriesThatDoNotMatchTheCatalogPanic(t *testing.T) {
	q := Queries{Range: "5m"}
	for name, f := range map[string]func(){
		"rate of a gauge":        func() { q.Rate(catalog.PoolLimit) },
		"value of a counter":     func() { q.Value(catalog.PoolRequests) },
		"quantile of a counter":  func() { q.Quantile(0.5, nil, catalog.PoolRequests) },
		"unknown attribute":      func() { q.Value(catalog.PoolLimit, Is(catalog.PoolStateKey, "used")) },
		"unknown value":          func() { q.Value(catalog.PoolUsage, Is(catalog.PoolStateKey, "busy")) },
		"unknown value excluded": func() { q.Rate(catalog.RelayPoints, Not(catalog.PointOutcomeKey, "lost")) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
	// An attribute of the group that may have any value does not panic.
	q.Value(catalog.PoolLimit, Is(catalog.PoolNameKey, "any"))
}
