package catalog

import "go.opentelemetry.io/otel/attribute"

// The attribute keys of runs.
const (
	RunNameKey    = attribute.Key("poolgauge.run.name")
	RunOutcomeKey = attribute.Key("poolgauge.run.outcome")
)

// Run holds the metrics of batches of tasks, reported by package instrument/monitor.
var Run = &Group{
	Name: "run",
	Help: "Batches of tasks that `instrument/monitor` measures. Tasks are reported as they end, the other metrics when the run ends. CPU time, memory and " +
		"allocations cover the whole process during the run.",
	Attributes: []Attribute{
		{Key: RunNameKey, Help: "the name that the program gave; runs with the same name share their series"},
	},
	Metrics: []*Metric{
		RunTaskDuration,
		RunDuration,
		RunCPUTime,
		RunMemoryPeak,
		RunMemoryGrowth,
		RunMemoryAllocated,
		RunMemoryAllocations,
		RunGCCycles,
	},
}

// The metrics in [Run].
var (
	RunTaskDuration = &Metric{
		Name:       "poolgauge.run.task.duration",
		Kind:       Histogram,
		Unit:       "s",
		Help:       "How long each task of a run took, by outcome.",
		Attributes: []Attribute{{Key: RunOutcomeKey, Values: []string{"ok", "error", "panic", "exit"}}},
	}
	RunDuration = &Metric{
		Name: "poolgauge.run.duration", Kind: Histogram, Unit: "s",
		Help: "How long runs took, from start to end.",
	}
	RunCPUTime = &Metric{
		Name: "poolgauge.run.cpu.time", Kind: Counter, Unit: "s",
		Help: "CPU time of the process during runs.",
	}
	RunMemoryPeak = &Metric{
		Name: "poolgauge.run.memory.peak", Kind: Gauge, Number: Int, Unit: "By",
		Help:   "Highest resident memory of the process during the last run, as far as observed.",
		Absent: "not Linux",
	}
	RunMemoryGrowth = &Metric{
		Name: "poolgauge.run.memory.growth", Kind: Gauge, Number: Int, Unit: "By",
		Help:   "Resident memory of the process at the end of the last run, minus that at its start.",
		Absent: "not Linux",
	}
	RunMemoryAllocated = &Metric{
		Name: "poolgauge.run.memory.allocated", Kind: Counter, Number: Int, Unit: "By",
		Help: "Bytes that the process allocated on the heap during runs.",
	}
	RunMemoryAllocations = &Metric{
		Name: "poolgauge.run.memory.allocations", Kind: Counter, Number: Int, Unit: "{allocation}",
		Help: "Allocations of the process on the heap during runs.",
	}
	RunGCCycles = &Metric{
		Name: "poolgauge.run.gc.cycles", Kind: Counter, Number: Int, Unit: "{cycle}",
		Help: "Garbage collections that ended during runs.",
	}
)
