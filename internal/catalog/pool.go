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

// Pool is the group of the one model for every pool: n slots, some used, some waited for.
var Pool = &Group{
	Name: "pool",
	Help: "Every pool, of `pools` or wrapped by `instrument`: n slots, some used, some waited for.",
	Attributes: []Attribute{
		{Key: PoolNameKey, Help: "the name that the program gave; unique"},
		{Key: PoolKindKey, Help: "worker, resource, semaphore or group, or what was wrapped: sql, http …"},
		{
			Key:  semconv.ServerAddressKey,
			Help: "of a wrapped `http.Transport` whose limit is for each host, with the next two; others do not have them",
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

// The rows of [Pool].
var (
	PoolLimit = &Metric{
		Name: "poolgauge.pool.limit", Kind: UpDownCounter, Number: Int, Unit: "{slot}",
		Help: "How many slots there may be.", Absent: "unlimited",
	}
	PoolLimitRecommended = &Metric{
		Name:   "poolgauge.pool.limit.recommended",
		Kind:   Gauge,
		Number: Int,
		Unit:   "{slot}",
		Help: "The limit that would suit the load of late, in steps: at most twice as many slots, or a quarter fewer. " +
			"It is the limit itself where that suits.",
		Attributes: []Attribute{
			{Key: semconv.ServiceNameKey, Help: "from the sidecar: of the app, with the next"},
			{Key: semconv.ServiceInstanceIDKey},
		},
		Absent: "the cause is undetermined, or is not the limit; no limit; pools that report through a MeterProvider; " +
			"from the sidecar: apps that say it themselves",
	}
	PoolLimitChanges = &Metric{
		Name: "poolgauge.pool.limit.changes", Kind: Counter, Number: Int, Unit: "{change}",
		Help:   "Changes of the limit since the pool was made, by the program or by `pools/autosize`.",
		Absent: "pools whose limit does not change; wrapped pools, which do not say it",
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
		Help: "Callers or tasks that wait now.",
	}
	PoolPendingLimit = &Metric{
		Name: "poolgauge.pool.pending.limit", Kind: UpDownCounter, Number: Int, Unit: "{request}",
		Help: "How many may wait.", Absent: "unbounded",
	}
	PoolPendingAge = &Metric{
		Name: "poolgauge.pool.pending.age", Kind: Gauge, Unit: "s",
		Help: "How long the oldest of them has waited.", Absent: "nobody waits",
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
		Help:       "Time from asking to getting or giving up, by outcome. Above 100,000 waits a second, short ones are sampled and weighted, unless exact was asked for.",
		Attributes: []Attribute{requestOutcomes},
	}
	PoolWaits = &Metric{
		Name:   "poolgauge.pool.waits",
		Kind:   Counter,
		Number: Int,
		Unit:   "{request}",
		Help:   "Requests that had to wait, of a pool that does not say how long each waited.",
		Absent: "pools with `poolgauge.pool.wait.duration`, which says more",
	}
	PoolWaitTime = &Metric{
		Name:   "poolgauge.pool.wait.time",
		Kind:   Counter,
		Unit:   "s",
		Help:   "Time that those requests waited, added up when a wait ends, in getting or in giving up.",
		Absent: "as for `poolgauge.pool.waits`",
	}
	PoolUseDuration = &Metric{
		Name: "poolgauge.pool.use.duration",
		Kind: Histogram,
		Unit: "s",
		Help: "Run time of a task, or time that a lease or permit was held. Sampled with weight unless exact was asked for.",
	}
	PoolUseAge = &Metric{
		Name: "poolgauge.pool.use.age",
		Kind: Gauge,
		Unit: "s",
		Help: "How long the oldest use has lasted that goes on. Of a pool that is full, or has an unusual use, exemplars name the oldest holders: " +
			"`code.function.name`, `code.stacktrace`, the trace, and the age as the value.",
		Absent: "nothing is used; pools that do not know each use",
	}
	PoolUseTime = &Metric{
		Name: "poolgauge.pool.use.time", Kind: Counter, Unit: "s",
		Help: "Slot-seconds used: its rate over the limit is the utilisation.",
	}
	PoolHeldBackTime = &Metric{
		Name:   "poolgauge.pool.held_back.time",
		Kind:   Counter,
		Unit:   "s",
		Help:   "Slot-seconds that were free while requests waited, since the first of them wanted more slots than were free.",
		Absent: "pools in which a request takes one slot; wrapped pools, which do not say it",
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
		Help: "Use time by what the thread of the task did, estimated from a sample of the tasks. " +
			"Time that a task was ready and Go's scheduler had no processor for it counts as blocked.",
		Attributes: []Attribute{{Key: PoolStateKey, Values: []string{"on_cpu", "run_queue", "blocked"}}},
		Absent:     "no task was sampled; pools that do not run tasks; not Linux",
	}
	PoolResources = &Metric{
		Name: "poolgauge.pool.resources", Kind: Counter, Number: Int, Unit: "{resource}",
		Help: "Resources made and ended.",
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
		Help:       "Time to construct a resource, never counted as waiting.",
		Attributes: []Attribute{{Key: semconv.ErrorTypeKey}},
		Absent:     "pools without resources",
	}
	PoolVerdict = &Metric{
		Name:   "poolgauge.pool.verdict",
		Kind:   UpDownCounter,
		Number: Int,
		Unit:   "{pool}",
		Help:   "1 for the verdict that holds on why the pool is full, and 0 for each other that held before.",
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
			{Key: semconv.ServiceNameKey, Help: "from the sidecar: of the app, with the next"},
			{Key: semconv.ServiceInstanceIDKey},
		},
		Absent: "verdicts that never held; pools that report through a MeterProvider; from the sidecar: apps that say it themselves",
	}
)
