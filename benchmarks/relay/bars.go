package main

import (
	"fmt"
	"io"
)

// bar is a value that the relay must reach or must not exceed.
type bar struct {
	what       string
	got, limit float64
	atLeast    bool
}

func (b bar) met() bool {
	if b.atLeast {
		return b.got >= b.limit
	}
	return b.got <= b.limit
}

// leastRate is the minimum rate that the relay must forward, in points/s. It must also reach twice
// the Collector's rate.
const leastRate = 100_000

// judge compares the sidecar's default with the bars, and the synced one with a synced Collector.
func judge(results []*result) (bars []bar) {
	ours := find(results, sidecar, "default")
	for _, f := range forms {
		if f.json {
			bars = append(bars, bar{f.String() + ": CPU over the Collector's, at most 1", ratio(results, f), 1, false})
			continue
		}
		for _, r := range []*result{ours, find(results, sidecar, "--queue-sync 0")} {
			peer := best(results, f, r.synced)
			bars = append(bars, bar{
				fmt.Sprintf(
					"%s, %s: points/s, at least %d and 2 × the Collector's %.0f",
					r.contender,
					f,
					leastRate,
					peer,
				),
				median(r.throughput[f].forwarded),
				max(leastRate, 2*peer),
				true,
			})
		}
	}
	return append(
		bars,
		bar{forms[0].String() + ": CPU over the Collector's, at most 0.25", ratio(results, forms[0]), 0.25, false},
		bar{
			"points/s while memory is measured, at least 0.99 × 100,000",
			median(ours.memory.rate),
			0.99 * fixedRate,
			true,
		},
		bar{"peak RSS under that load, less than 30 MiB", median(ours.memory.peak), 30, false},
		bar{"RSS idle, less than 20 MiB", median(ours.memory.idle), 20, false},
		bar{"RSS idle after load, less than 20 MiB", median(ours.memory.after), 20, false},
		bar{"added p99 of an acknowledgement, less than 5 ms", milliseconds(median(ours.latency.added)), 5, false},
	)
}

// ratio returns the ratio of the sidecar's CPU time per point to that of the Collector, both with
// their default settings.
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

// best returns the rate that the Collector forwards with its best settings of the same durability.
func best(results []*result, f form, synced bool) (rate float64) {
	for _, r := range results {
		if r.family == collector && r.synced == synced {
			rate = max(rate, median(r.throughput[f].forwarded))
		}
	}
	return rate
}

// printBars prints the verdicts and reports whether every bar was met.
func printBars(out io.Writer, bars []bar) bool {
	fmt.Fprint(out, "\n| bar | limit | measured | |\n|---|---|---|---|\n")
	all := true
	for _, b := range bars {
		verdict := "met"
		if !b.met() {
			verdict, all = "**missed**", false
		}
		fmt.Fprintf(out, "| %s | %.6g | %.6g | %s |\n", b.what, b.limit, b.got, verdict)
	}
	return all
}
