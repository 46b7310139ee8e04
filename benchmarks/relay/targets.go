package main

import (
	"fmt"
	"io"
)

// target is a value that the relay must reach or must not exceed.
type target struct {
	what       string
	got, limit float64
	atLeast    bool
}

func (t target) met() bool {
	if t.atLeast {
		return t.got >= t.limit
	}
	return t.got <= t.limit
}

// minRate is the minimum rate that the relay must forward, in points/s. The relay must also reach
// twice the Collector's rate.
const minRate = 100_000

// checkTargets returns the targets and the measured values. Most are about the sidecar with its
// default settings; some compare the sidecar and the Collector when both sync to disk.
func checkTargets(results []*result) (targets []target) {
	ours := find(results, sidecar, "default")
	for _, f := range forms {
		if f.json {
			cpu := target{f.String() + ": CPU over the Collector's, at most 1", ratio(results, f), 1, false}
			targets = append(targets, cpu)
			continue
		}
		for _, r := range []*result{ours, find(results, sidecar, "--queue-sync 0")} {
			peer := best(results, f, r.synced)
			targets = append(targets, target{
				fmt.Sprintf(
					"%s, %s: points/s, at least %d and 2 × the Collector's %.0f",
					r.contender,
					f,
					minRate,
					peer,
				),
				median(r.throughput[f].forwarded),
				max(minRate, 2*peer),
				true,
			})
		}
	}
	return append(
		targets,
		target{forms[0].String() + ": CPU over the Collector's, at most 0.25", ratio(results, forms[0]), 0.25, false},
		target{
			"points/s while memory is measured, at least 0.99 × 100,000",
			median(ours.memory.rate),
			0.99 * fixedRate,
			true,
		},
		target{"peak RSS under that load, less than 30 MiB", median(ours.memory.peak), 30, false},
		target{"RSS idle, less than 20 MiB", median(ours.memory.idle), 20, false},
		target{"RSS idle after load, less than 20 MiB", median(ours.memory.after), 20, false},
		target{"added p99 of an acknowledgement, less than 5 ms", milliseconds(median(ours.latency.added)), 5, false},
	)
}

// ratio returns the ratio of the sidecar's CPU time per point to the Collector's, both with default
// settings.
func ratio(results []*result, f form) float64 {
	return median(
		find(results, sidecar, "default").throughput[f].cpu,
	) / median(
		find(results, collector, "default").throughput[f].cpu,
	)
}

func find(results []*result, family, setting string) *result {
	for _, r := range results {
		if r.family == family && r.setting == setting {
			return r
		}
	}
	return nil
}

// best returns the highest rate at which the Collector forwards requests of form f with the given
// durability.
func best(results []*result, f form, synced bool) (rate float64) {
	for _, r := range results {
		if r.family == collector && r.synced == synced {
			rate = max(rate, median(r.throughput[f].forwarded))
		}
	}
	return rate
}

// printTargets prints the targets and reports whether all were met.
func printTargets(out io.Writer, targets []target) bool {
	fmt.Fprint(out, "\n| target | limit | measured | |\n|---|---|---|---|\n")
	all := true
	for _, t := range targets {
		verdict := "met"
		if !t.met() {
			verdict, all = "**missed**", false
		}
		fmt.Fprintf(out, "| %s | %.6g | %.6g | %s |\n", t.what, t.limit, t.got, verdict)
	}
	return all
}
