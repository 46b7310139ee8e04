package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// figure is a column of the table. Lower values are better.
type figure struct {
	title  string
	format string
	of     func(*result) float64
}

var (
	binarySize = figure{"binary MB", "%.1f", func(r *result) float64 { return r.binaryMB }}
	rssMedian  = figure{"RSS MiB", "%.1f", func(r *result) float64 { return median(r.rss) }}
	rssMax     = figure{"max RSS", "%.1f", func(r *result) float64 { return slices.Max(r.rss) }}
	anonMedian = figure{"anon MiB", "%.1f", func(r *result) float64 { return median(r.anon) }}
	anonMax    = figure{"max anon", "%.1f", func(r *result) float64 { return slices.Max(r.anon) }}
	cpuRate    = figure{"CPU s/min", "%.3f", func(r *result) float64 { return r.cpu }}
	startCPU   = figure{"CPU to first point ms", "%.0f", func(r *result) float64 { return milliseconds(r.cpuOfStarts) }}
	firstPoint = figure{"first point ms", "%.0f", func(r *result) float64 { return milliseconds(median(r.first)) }}
)

var columns = []figure{binarySize, rssMedian, rssMax, anonMedian, anonMax, cpuRate, startCPU, firstPoint}

// best returns the lowest value of a figure among the configurations of a family. Ratios are
// relative to it.
func best(results []*result, family string, f figure) float64 {
	var values []float64
	for _, r := range results {
		if r.family == family {
			values = append(values, f.of(r))
		}
	}
	return slices.Min(values)
}

func printTable(out io.Writer, results []*result) {
	fmt.Fprint(out, "Each value is followed by its ratios to the best of the Collector and of the bare SDK.\n\n| |")
	for _, f := range columns {
		fmt.Fprintf(out, " %s |", f.title)
	}
	fmt.Fprint(out, " points/s |\n|---|")
	for range columns {
		fmt.Fprint(out, "---|")
	}
	fmt.Fprintln(out, "---|")
	for _, r := range results {
		fmt.Fprintf(out, "| %s, %s |", r.family, r.setting)
		for _, f := range columns {
			v := f.of(r)
			fmt.Fprintf(out, " "+f.format+" (%.2f, %.2f) |", v, v/best(results, collector, f), v/best(results, bare, f))
		}
		fmt.Fprintf(out, " %.0f |\n", r.pointsPerS)
	}
}

// median returns the median of values, the upper one of two. It does not modify values.
func median[T float64 | time.Duration](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }
