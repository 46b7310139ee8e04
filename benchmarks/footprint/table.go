package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// column is a column of a table.
type column struct {
	title  string
	unit   string
	format string
	value  func(*result) float64
}

var (
	binarySize = column{"binary", "MB", "%.1f", func(r *result) float64 { return r.binaryMB }}
	rssMedian  = column{"RSS", "MiB", "%.1f", func(r *result) float64 { return median(r.rss) }}
	rssMax     = column{"max RSS", "MiB", "%.1f", func(r *result) float64 { return slices.Max(r.rss) }}
	anonMedian = column{"anon", "MiB", "%.1f", func(r *result) float64 { return median(r.anon) }}
	anonMax    = column{"max anon", "MiB", "%.1f", func(r *result) float64 { return slices.Max(r.anon) }}
	cpuRate    = column{"CPU", "s/min", "%.3f", func(r *result) float64 { return r.cpu }}
	startCPU   = column{"CPU to first point", "ms", "%.0f", func(r *result) float64 {
		return milliseconds(r.cpuOfStarts)
	}}
	firstPoint = column{"first point", "ms", "%.0f", func(r *result) float64 { return milliseconds(median(r.first)) }}
	pointRate  = column{"rate", "points/s", "%.0f", func(r *result) float64 { return r.pointsPerS }}
)

// costs are the metrics to compare. Lower values are better.
var costs = []column{binarySize, rssMedian, rssMax, anonMedian, anonMax, cpuRate, startCPU, firstPoint}

// best returns the lowest value of f among the configurations of family.
func best(results []*result, family string, f column) float64 {
	var values []float64
	for _, r := range results {
		if r.family == family {
			values = append(values, f.value(r))
		}
	}
	return slices.Min(values)
}

// printTable prints the costs of each configuration, and then their ratios to the best
// configurations of the Collector and of the bare SDK.
func printTable(out io.Writer, results []*result) {
	printColumns(out, append(costs[:len(costs):len(costs)], pointRate), results)
	for _, family := range []string{collector, bare} {
		var ratios []column
		for _, f := range costs {
			lowest := best(results, family, f)
			ratios = append(ratios, column{f.title, "", "%.2f", func(r *result) float64 { return f.value(r) / lowest }})
		}
		fmt.Fprintf(out, "\nRatios to the lowest figure of any configuration of the %s:\n\n", family)
		printColumns(out, ratios, results)
	}
}

func printColumns(out io.Writer, columns []column, results []*result) {
	fmt.Fprint(out, "| |")
	for _, f := range columns {
		fmt.Fprintf(out, " %s |", strings.TrimSuffix(f.title+", "+f.unit, ", "))
	}
	fmt.Fprintln(out, "\n|---|"+strings.Repeat("---|", len(columns)))
	for _, r := range results {
		fmt.Fprintf(out, "| %s, %s |", r.family, r.setting)
		for _, f := range columns {
			fmt.Fprintf(out, " "+f.format+" |", f.value(r))
		}
		fmt.Fprintln(out)
	}
}

// median returns the median of values, or the upper of the two middle values. It does not modify
// values.
func median[T float64 | time.Duration](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }
