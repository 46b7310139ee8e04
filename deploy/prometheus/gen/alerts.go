package main

import (
	"fmt"
	"strings"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/promql"
)

const (
	critical = "critical"
	warning  = "warning"

	runbooks = "https://github.com/poolgauge/poolgauge/blob/main/docs/runbooks.md"
)

// alert returns an alert whose runbook is the section of its name.
func alert(name, severity, lasting, expr, summary, description string) rule {
	return rule{
		Alert: name, Expr: expr, For: lasting, Labels: map[string]string{"severity": severity},
		Annotations: map[string]string{
			"summary": summary, "description": description, "runbook_url": runbooks + "#" + strings.ToLower(name),
		},
	}
}

// How the annotations name what they are about.
var (
	thePool = fmt.Sprintf("Pool {{ $labels.%s }} of {{ $labels.job }}", pool)
	there   = fmt.Sprintf("instance {{ $labels.instance }}{{ with $labels.%s }}, pod {{ . }}{{ end }}{{ with $labels.%s }} in {{ . }}{{ end }}", pod, namespace)
)

const percent = "{{ $value | humanizePercentage }}"

func alerts() []rule {
	return append(append(poolAlerts(), machineAlerts()...), sidecarAlerts()...)
}

func poolAlerts() []rule {
	list := []rule{
		alert("PoolSaturated", warning, "10m",
			recordUtilisation+" > 0.9 and "+recordPending+" >= 1",
			thePool+" is full and somebody waits.",
			percent+" of its slots have been in use for 5 minutes, on average at least one request waits ("+there+").",
		),
		alert("PoolLeaking", warning, "10m",
			"resets("+recordUsed+"[1h]) == 0 and "+recordUsed+" - "+recordUsed+" offset 1h >= 3 and "+recordAcquired+" < 1.2 * "+recordAcquired+" offset 1h",
			thePool+" loses slots.",
			"The fewest slots in use over 15 minutes have risen in the last hour and never fallen, while requests did not grow: "+
				"slots that are not given back, or uses that take longer and longer ("+there+").",
		),
	}
	for _, b := range burns {
		list = append(list, alert("PoolWaitsOverObjective", b.severity, "2m", b.expr(),
			thePool+" keeps its callers waiting.",
			fmt.Sprintf("%s of its requests waited longer than %v s over %s and over %s; the objective is %v %% within that time (%s).",
				percent, objectiveSeconds, b.short, b.long, 100*objectiveShare, there)))
	}
	return list
}

func machineAlerts() []rule {
	stall := over("5m").Rate(catalog.PressureStallTime, promql.Is(catalog.PressureResourceKey, "memory"), promql.Is(catalog.PressureKindKey, "some"))
	scope := promql.Label(catalog.PressureScopeKey)
	kills := over("10m").Increase(catalog.CgroupMemoryEvents, promql.Is(catalog.CgroupEventKey, "oom_kill"))
	target := promql.Label(catalog.ProbeTargetKey)
	return []rule{
		alert("ContainerThrottled", warning, "15m", recordThrottled+" > 0.1",
			fmt.Sprintf("Control group {{ $labels.%s }} is throttled.", path),
			"Its CPU quota stopped it in "+percent+" of the periods ("+there+"). Tasks take longer than they work, and pools fill.",
		),
		alert("MemoryPressure", warning, "10m", promql.Aggregate("max", append([]string{scope}, byGroup...), stall)+" > 0.05",
			fmt.Sprintf("Tasks wait for memory ({{ $labels.%s }} {{ $labels.%s }}).", scope, path),
			percent+" of the time some task waits for memory ("+there+").",
		),
		alert("OutOfMemory", critical, "", promql.Aggregate("max", byInstance, kills)+" > 0",
			"The kernel killed a process for memory.",
			"A control group met its memory limit, and a process in it was killed in the last 10 minutes ("+there+").",
		),
		alert("DiskSlow", warning, "10m",
			"("+over("10m").Quantile(0.9, append([]string{target}, byInstance...), catalog.ProbeDuration,
				promql.Is(catalog.ProbeNameKey, "disk"), promql.Is(catalog.ProbePhaseKey, "sync"))+") > 0.1",
			fmt.Sprintf("The disk of {{ $labels.%s }} is slow to sync.", target),
			"One in ten probes takes {{ $value | humanizeDuration }} or longer to make 4 KiB durable ("+there+").",
		),
	}
}

func sidecarAlerts() []rule {
	lost := promql.Is(catalog.PointOutcomeKey, "dropped", "rejected")
	outcome, reason := promql.Label(catalog.PointOutcomeKey), promql.Label(catalog.PointReasonKey)
	points := now.Total(catalog.RelayPoints, lost)
	sidecar := now.Value(catalog.SourceSuccess)
	seen := func(window string, by []string) string {
		return promql.Aggregate("group", by, over(window).Over("max_over_time", catalog.SourceSuccess))
	}
	silent := func(by []string, before string) string {
		return before + " unless on (" + strings.Join(by, ", ") + ") " + promql.Aggregate("group", by, sidecar)
	}
	pools := promql.Aggregate("group", byPod, now.Value(catalog.PoolUsage)) + " and on (" + strings.Join(byPod, ", ") + ") " + seen("1d", byPod)
	return []rule{
		alert("SidecarDropping", warning, "",
			// A series that begins with the first loss does not grow: what it has is what was lost.
			promql.Sum(append([]string{outcome, reason}, byInstance...), over("10m").Increase(catalog.RelayPoints, lost)+
				" > 0 or ("+points+" unless "+points+" offset 10m)")+" > 0",
			"A sidecar loses points.",
			fmt.Sprintf("{{ $value | humanize }} points were {{ $labels.%s }} in 10 minutes, reason {{ $labels.%s }} (%s).", outcome, reason, there),
		),
		alert("SidecarAbsent", warning, "5m",
			silent(byNamespace, seen("1h", byNamespace))+" or "+silent(byPod, "("+pools+")"),
			"A sidecar reports no more.",
			fmt.Sprintf("{{ with $labels.%s }}The sidecar of pod {{ . }}{{ else }}No sidecar{{ end }}{{ with $labels.%s }} in {{ . }}{{ end }} "+
				"has reported for 5 minutes, though it did before, within the hour or while its app still reports.", pod, namespace),
		),
	}
}
