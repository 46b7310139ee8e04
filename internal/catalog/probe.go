package catalog

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The attribute keys of probes.
const (
	ProbeNameKey       = attribute.Key("poolgauge.probe.name")
	ProbeTargetKey     = attribute.Key("poolgauge.probe.target")
	ProbePhaseKey      = attribute.Key("poolgauge.probe.phase")
	ProbeSkipReasonKey = attribute.Key("poolgauge.probe.skip.reason")
)

// ProbeNames lists the values of [ProbeNameKey], in the order in which they are shown.
var ProbeNames = []string{"cpu", "parallelism", "disk", "tcp", "dns", "http", "grpc"}

// ProbePhases lists the values of [ProbePhaseKey], in the order in which the phases happen. The
// phase "total" lasts from the intended start of a run to its end.
var ProbePhases = []string{"lookup", "connect", "tls", "response", "write", "sync", "read", "total"}

var probeErrorType = Attribute{
	Key:  semconv.ErrorTypeKey,
	Help: "what failed (`timeout`, `connection_refused`, `nxdomain`, `tls`, an HTTP status, `ENOSPC` …, see docs/probes.md); absent when the run or the phase succeeded",
}

// Probe holds the metrics of the periodic synthetic probes. docs/probes.md says what each probe
// measures.
var Probe = &Group{
	Name: "probe",
	Help: "Periodic synthetic probes. They measure the node and the sidecar's own quota, not the app's throttling: for that see `poolgauge.cgroup.cpu.*`.",
	Attributes: []Attribute{
		{Key: ProbeNameKey, Values: ProbeNames},
		{Key: ProbeTargetKey, Help: "the address, name, URL or directory probed; absent for CPU probes"},
	},
	Metrics: []*Metric{
		ProbeDuration,
		ProbeCPUStretch,
		ProbeCPURunDelay,
		ProbeCPUWork,
		ProbeCPUWorkMin,
		ProbeParallelism,
		ProbeParallelismRequested,
		ProbeCertificateRemaining,
		ProbeRuns,
		ProbeSkipped,
		ProbeCost,
	},
}

// The metrics in [Probe].
var (
	ProbeDuration = &Metric{
		Name: "poolgauge.probe.duration",
		Kind: Histogram,
		Unit: "s",
		Help: "How long a probe, or a phase of it, took. The phase total is timed from the intended start, so that it includes a late start.",
		Attributes: []Attribute{
			{Key: ProbePhaseKey, Values: ProbePhases},
			probeErrorType,
		},
		Absent: "phases that the run did not reach; `lookup` where the target is an address; `read` where the page cache cannot be dropped",
	}
	ProbeCPUStretch = &Metric{
		Name: "poolgauge.probe.cpu.stretch",
		Kind: Histogram,
		Unit: "1",
		Help: "Wall time divided by CPU time of a thread that runs a busy loop for 5 ms: 1 on an idle core, 2 if other threads used half of the time.",
	}
	ProbeCPURunDelay = &Metric{
		Name: "poolgauge.probe.cpu.run_delay", Kind: Histogram, Unit: "s",
		Help:   "Time that the probe's thread was ready to run but waited for a CPU, as recorded by the kernel.",
		Absent: "kernels without schedstat, or not Linux",
	}
	ProbeCPUWork = &Metric{
		Name: "poolgauge.probe.cpu.work",
		Kind: Gauge,
		Unit: "s",
		Help: "CPU time that one unit of the probe's work, the same on every machine, took in the last run. If it is above work.min, the CPU's frequency is lower or its sibling thread is busy.",
	}
	ProbeCPUWorkMin = &Metric{
		Name: "poolgauge.probe.cpu.work.min", Kind: Gauge, Unit: "s",
		Help: "Lowest cpu.work since the sidecar started: the reference for the CPU's frequency.",
	}
	ProbeParallelism = &Metric{
		Name: "poolgauge.probe.cpu.parallelism",
		Kind: Gauge,
		Unit: "{cpu}",
		Help: "Number of CPUs that the probe's threads got in parallel in the last run, a burst of at least 30 ms.",
	}
	ProbeParallelismRequested = &Metric{
		Name:   "poolgauge.probe.cpu.parallelism.requested",
		Kind:   Gauge,
		Unit:   "{cpu}",
		Help:   "Number of threads of the parallelism probe: the maximum number of CPUs that the sidecar may use.",
		Number: Int,
	}
	ProbeCertificateRemaining = &Metric{
		Name:   "poolgauge.probe.tls.certificate.remaining",
		Kind:   Gauge,
		Unit:   "s",
		Help:   "Time until the first of the server's certificates expires; negative after that.",
		Absent: "no TLS, or no certificate has been seen yet",
	}
	ProbeRuns = &Metric{
		Name: "poolgauge.probe.runs", Kind: Counter, Number: Int, Unit: "{run}",
		Help: "Runs finished.", Attributes: []Attribute{probeErrorType},
	}
	ProbeSkipped = &Metric{
		Name: "poolgauge.probe.skipped", Kind: Counter, Number: Int, Unit: "{run}",
		Help:       "Skipped runs, by reason.",
		Absent:     "no run has been skipped yet",
		Attributes: []Attribute{{Key: ProbeSkipReasonKey, Values: []string{"quota", "budget", "running"}}},
	}
	ProbeCost = &Metric{
		Name: "poolgauge.probe.cost", Kind: Counter, Unit: "s",
		Help: "CPU time that the probe itself used. Its rate stays below the probe's share of the budget.",
	}
)
