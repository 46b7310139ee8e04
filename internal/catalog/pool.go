package catalog

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The attribute keys of pools.
const (
	PoolNameKey    = attribute.Key("poolgauge.pool.name")
	PoolKindKey    = attribute.Key("poolgauge.pool.kind")
	PoolStateKey   = attribute.Key("poolgauge.pool.state")
	PoolOutcomeKey = attribute.Key("poolgauge.pool.outcome")
	PoolEventKey   = attribute.Key("poolgauge.pool.event")
	PoolReasonKey  = attribute.Key("poolgauge.pool.reason")
	VerdictKey     = attribute.Key("poolgauge.verdict")
)

// Pool holds the metrics of pools. Every pool is modeled as n slots, which are used or free, and
// requests that wait for slots.
var Pool = &Group{
	Name: "pool",
	Help: "All pools, whether from `pools` or wrapped by `instrument`. A pool has slots; requests wait while too few are free.",
	Attributes: []Attribute{
		{Key: PoolNameKey, Help: "the name that the program gave; unique in the process"},
		{Key: PoolKindKey, Help: "worker, resource, semaphore or group, or what was wrapped: sql, http …"},
		{
			Key:  semconv.ServerAddressKey,
			Help: "this and the next two only for a wrapped `http.Transport` with a limit per host",
		},
		{Key: semconv.ServerPortKey},
		{Key: semconv.URLSchemeKey},
	},
	Metrics: []*Metric{
		PoolLimit,
		PoolLimitRecommended,
		PoolLimitChanges,
		PoolUsage,
		PoolPending,
		PoolPendingLimit,
		PoolPendingAge,
		PoolRequests,
		PoolWaitDuration,
		PoolWaits,
		PoolWaitTime,
		PoolUseDuration,
		PoolUseAge,
		PoolUseTime,
		PoolHeldBackTime,
		PoolCompleted,
		PoolUseCPUTime,
		PoolResources,
		PoolCreateDuration,
		PoolVerdict,
	},
}

var requestOutcomes = Attribute{
	Key:    PoolOutcomeKey,
	Values: []string{"acquired", "rejected", "canceled", "timeout", "closed"},
}

// The metrics in [Pool].
var (
	PoolLimit = &Metric{
		Name: "poolgauge.pool.limit", Kind: UpDownCounter, Number: Int, Unit: "{slot}",
		Help: "Maximum number of slots.", Absent: "unlimited",
	}
	PoolLimitRecommended = &Metric{
		Name:   "poolgauge.pool.limit.recommended",
		Kind:   Gauge,
		Number: Int,
		Unit:   "{slot}",
		Help: "The recommended limit for the recent load. It is approached in steps: at most twice as many slots, or a quarter fewer. " +
			"It equals the limit if no change is recommended.",
		Attributes: []Attribute{
			{Key: semconv.ServiceNameKey, Help: "only from the sidecar, with the next: the app's"},
			{Key: semconv.ServiceInstanceIDKey},
		},
		Absent: "the cause is undetermined or something other than the limit; no limit; pools that report through a MeterProvider; " +
			"from the sidecar: apps that report it themselves",
	}
	PoolLimitChanges = &Metric{
		Name: "poolgauge.pool.limit.changes", Kind: Counter, Number: Int, Unit: "{change}",
		Help:   "Changes to the limit since the pool was created, by the program or by `pools/autosize`.",
		Absent: "pools whose limit cannot change; wrapped pools, which do not report changes",
	}
	PoolUsage = &Metric{
		Name:       "poolgauge.pool.usage",
		Kind:       UpDownCounter,
		Number:     Int,
		Unit:       "{slot}",
		Help:       "Slots by state.",
		Attributes: []Attribute{{Key: PoolStateKey, Values: []string{"used", "idle", "constructing"}}},
		Absent:     "states that the kind of pool does not have",
	}
	PoolPending = &Metric{
		Name: "poolgauge.pool.pending", Kind: UpDownCounter, Number: Int, Unit: "{request}",
		Help: "Callers or tasks that are waiting.",
	}
	PoolPendingLimit = &Metric{
		Name: "poolgauge.pool.pending.limit", Kind: UpDownCounter, Number: Int, Unit: "{request}",
		Help: "Maximum number of waiting callers or tasks.", Absent: "unbounded",
	}
	PoolPendingAge = &Metric{
		Name: "poolgauge.pool.pending.age", Kind: Gauge, Unit: "s",
		Help: "How long the oldest waiting caller or task has waited.", Absent: "nothing is waiting",
	}
	PoolRequests = &Metric{
		Name:       "poolgauge.pool.requests",
		Kind:       Counter,
		Number:     Int,
		Unit:       "{request}",
		Help:       "Every request, by outcome; the outcomes add up to the calls made.",
		Attributes: []Attribute{requestOutcomes},
	}
	PoolWaitDuration = &Metric{
		Name:       "poolgauge.pool.wait.duration",
		Kind:       Histogram,
		Unit:       "s",
		Help:       "Time from the request until it was granted or abandoned, by outcome. Above 100,000 waits a second, short ones are sampled and weighted, unless the pool has exact timing.",
		Attributes: []Attribute{requestOutcomes},
	}
	PoolWaits = &Metric{
		Name:   "poolgauge.pool.waits",
		Kind:   Counter,
		Number: Int,
		Unit:   "{request}",
		Help:   "Requests that had to wait, for pools that do not report how long each request waits.",
		Absent: "pools with `poolgauge.pool.wait.duration`, which is more detailed",
	}
	PoolWaitTime = &Metric{
		Name:   "poolgauge.pool.wait.time",
		Kind:   Counter,
		Unit:   "s",
		Help:   "Total time that requests waited, for pools that do not report how long each request waits. A wait is added when it ends, whether the request was granted or abandoned.",
		Absent: "as for `poolgauge.pool.waits`",
	}
	PoolUseDuration = &Metric{
		Name: "poolgauge.pool.use.duration",
		Kind: Histogram,
		Unit: "s",
		Help: "Run time of a task, or time that a lease or permit was held. Sampled and weighted above 100,000 uses a second, unless the pool has exact timing.",
	}
	PoolUseAge = &Metric{
		Name: "poolgauge.pool.use.age",
		Kind: Gauge,
		Unit: "s",
		Help: "How long the oldest use in progress has lasted. If the pool is full or has an unusually long use, exemplars name the oldest holders: " +
			"`code.function.name`, `code.stacktrace`, the trace, and the age as the value.",
		Absent: "no use in progress; pools that do not track individual uses",
	}
	PoolUseTime = &Metric{
		Name: "poolgauge.pool.use.time", Kind: Counter, Unit: "s",
		Help: "Total use in slot-seconds. Its rate divided by the limit is the utilization.",
	}
	PoolHeldBackTime = &Metric{
		Name:   "poolgauge.pool.held_back.time",
		Kind:   Counter,
		Unit:   "s",
		Help:   "Slot-seconds that were free while requests waited, because the first waiting request needed more slots than were free.",
		Absent: "pools in which every request takes one slot; wrapped pools, which do not report it",
	}
	PoolCompleted = &Metric{
		Name:       "poolgauge.pool.completed",
		Kind:       Counter,
		Number:     Int,
		Unit:       "{use}",
		Help:       "Uses that ended, by outcome.",
		Attributes: []Attribute{{Key: PoolOutcomeKey, Values: []string{"ok", "error", "panic", "exit"}}},
	}
	PoolUseCPUTime = &Metric{
		Name: "poolgauge.pool.use.cpu.time", Kind: Counter, Unit: "s",
		Help: "Use time by the state of the task's thread, estimated from a sample of tasks. " +
			"Time in which a task was ready but Go's scheduler had no processor for it counts as blocked.",
		Attributes: []Attribute{{Key: PoolStateKey, Values: []string{"on_cpu", "run_queue", "blocked"}}},
		Absent:     "no task has been sampled; pools that do not run tasks; not Linux",
	}
	PoolResources = &Metric{
		Name: "poolgauge.pool.resources", Kind: Counter, Number: Int, Unit: "{resource}",
		Help: "Resources created and closed.",
		Attributes: []Attribute{
			{Key: PoolEventKey, Values: []string{"created", "closed", "create_failed"}},
			{Key: PoolReasonKey, Help: "why"},
		},
		Absent: "pools without resources",
	}
	PoolCreateDuration = &Metric{
		Name:       "poolgauge.pool.create.duration",
		Kind:       Histogram,
		Unit:       "s",
		Help:       "Time to construct a resource, which is not part of any wait.",
		Attributes: []Attribute{{Key: semconv.ErrorTypeKey}},
		Absent:     "pools without resources",
	}
	PoolVerdict = &Metric{
		Name:   "poolgauge.pool.verdict",
		Kind:   UpDownCounter,
		Number: Int,
		Unit:   "{pool}",
		Help:   "Verdict on the pool: 1 for the verdict that holds now, and 0 for each verdict that held before.",
		Attributes: []Attribute{
			{Key: VerdictKey, Values: []string{
				"undetermined",
				"ok",
				"too_small",
				"oversized",
				"cpu_saturated",
				"starved",
				"lock_contention",
				"downstream_slow",
				"leaking",
				"head_of_line",
				"failing",
			}, Help: "see docs/verdicts.md"},
			{Key: semconv.ServiceNameKey, Help: "only from the sidecar, with the next: the app's"},
			{Key: semconv.ServiceInstanceIDKey},
		},
		Absent: "verdicts that never held; pools that report through a MeterProvider; from the sidecar: apps that report verdicts themselves",
	}
)
