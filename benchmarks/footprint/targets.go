package main

import (
	"fmt"
	"io"
)

// target is a value that the sidecar must not exceed.
type target struct {
	what       string
	got, limit float64
}

func (t target) met() bool { return t.got <= t.limit }

// checkTargets returns the sidecar's targets and the measured values.
func checkTargets(results []*result) []target {
	probes, plain := results[0], results[1]
	probeShare := (probes.cpu - plain.cpu) / 60 * 100
	return []target{
		{"RSS at most 18 MiB, at any time", rssMax.value(probes), 18},
		{"RSS at most 0.55 × the Collector's", rssMedian.value(probes) / best(results, collector, rssMedian), 0.55},
		{"CPU without probes at most 0.8 × the Collector's", plain.cpu / best(results, collector, cpuRate), 0.8},
		{
			"the same with only the Collector's sources, --pod=false",
			results[2].cpu / best(results, collector, cpuRate),
			0.8,
		},
		{"default probes under 0.5% of a core", probeShare, 0.5},
		{"binary at most 13 MB", probes.binaryMB, 13},
		{"first point under 300 ms", firstPoint.value(probes), 300},
	}
}

// printTargets prints the results and reports whether every target was met.
func printTargets(out io.Writer, targets []target) bool {
	fmt.Fprint(out, "\n| target | measured | |\n|---|---|---|\n")
	all := true
	for _, t := range targets {
		verdict := "met"
		if !t.met() {
			verdict, all = "**not met**", false
		}
		fmt.Fprintf(out, "| %s | %.3g | %s |\n", t.what, t.got, verdict)
	}
	return all
}
