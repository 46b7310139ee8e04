package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// selected reports whether to measure c. The receiver alone is always measured, since latencies are
// compared with its latency.
func selected(c contender, only string) bool {
	return c.family == bare || strings.Contains(c.String(), only)
}

func printTables(out io.Writer, results []*result) {
	for _, f := range forms {
		fmt.Fprintf(out, "As fast as requests are acknowledged, %s points:\n\n"+
			"| | accepted points/s | forwarded points/s (min–max) | CPU µs/point | points/s per CPU | peak RSS MiB | not arrived | refused |\n|---|---|---|---|---|---|---|---|\n", f)
		for _, r := range results {
			if t := r.throughput[f]; t != nil && len(t.forwarded) > 0 {
				fmt.Fprintf(
					out,
					"| %s | %.0f | %.0f (%.0f–%.0f) | %.2f | %.0f | %.1f | %.2f%% | %.2f%% |\n",
					r.contender,
					median(t.accepted),
					median(
						t.forwarded,
					),
					slices.Min(t.forwarded),
					slices.Max(t.forwarded),
					median(t.cpu),
					1e6/median(t.cpu),
					median(t.peak),
					100*median(t.lost),
					100*median(t.refused),
				)
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "Resident memory in MiB, at %d points/s in requests of %d points:\n\n"+
		"| | forwarded points/s | CPUs | RSS | peak RSS | idle before | idle after |\n|---|---|---|---|---|---|---|\n", fixedRate, forms[0].size)
	for _, r := range results {
		if m := r.memory; len(m.rate) > 0 {
			fmt.Fprintf(
				out,
				"| %s | %.0f | %.2f | %.1f | %.1f | %s | %s |\n",
				r.contender,
				median(m.rate),
				median(m.cpu),
				median(m.steady),
				median(m.peak),
				optional(m.idle),
				optional(m.after),
			)
		}
	}
	fmt.Fprintf(
		out,
		"\nTime to an acknowledgement, at %d points/s in requests of %d:\n\n| | p50 ms | p99 ms (min–max) | added to the p99 of a receiver alone |\n|---|---|---|---|\n",
		moderateRate,
		forms[0].size,
	)
	for _, r := range results {
		if y := r.latency; len(y.p50) > 0 {
			fmt.Fprintf(
				out,
				"| %s | %.2f | %.2f (%.2f–%.2f) | %.2f |\n",
				r.contender,
				milliseconds(median(y.p50)),
				milliseconds(median(y.p99)),
				milliseconds(slices.Min(y.p99)),
				milliseconds(slices.Max(y.p99)),
				milliseconds(median(y.added)),
			)
		}
	}
}

func optional(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", median(values))
}

// median returns the median of values, or the upper of the two middle values. It does not modify
// values.
func median[T float64 | time.Duration](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }
