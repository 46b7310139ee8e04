package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// figure is a column of a table.
type figure struct {
	title  string
	unit   string
	format string
	of     func(*result) float64
}

var (
	binarySize = figure{"binary", "MB", "%.1f", func(r *result) float64 { return r.binaryMB }}
	rssMedian  = figure{"RSS", "MiB", "%.1f", func(r *result) float64 { return median(r.rss) }}
	rssMax     = figure{"max RSS", "MiB", "%.1f", func(r *result) float64 { return slices.Max(r.rss) }}
	anonMedian = figure{"anon", "MiB", "%.1f", func(r *result) float64 { return median(r.anon) }}
	anonMax    = figure{"max anon", "MiB", "%.1f", func(r *result) float64 { return slices.Max(r.anon) }}
	cpuRate    = figure{"CPU", "s/min", "%.3f", func(r *result) float64 { return r.cpu }}
	startCPU   = figure{"CPU to first point", "ms", "%.0f", func(r *result) float64 {
		return milliseconds(r.cpuOfStarts)
	}}
	firstPoint = figure{"first point", "ms", "%.0f", func(r *result) float64 { return milliseconds(median(r.first)) }}
	pointRate  = figure{"rate", "points/s", "%.0f", func(r *result) float64 { return r.pointsPerS }}
)

// costs are the metrics to compare. Lower values are better.
var costs = []figure{binarySize, rssMedian, rssMax, anonMedian, anonMax, cpuRate, startCPU, firstPoint}

// best returns the lowest value of f among the configurations of family.
func best(results []*result, family string, f figure) float64 {
	var values []float64
	for _, r := range results {
		if r.family == family {
			values = append(values, f.of(r))
		}
	}
	return slices.Min(values)
}

// printTable prints the costs of each configuration, and then their ratios to the best
// configurations of the Collector and of the bare SDK.
func printTable(out io.Writer, results []*result) {
	printFigures(out, append(costs[:len(costs):len(costs)], pointRate), results)
	for _, family := range []string{collector, bare} {
		var ratios []figure
		for _, f := range costs {
			least := best(results, family, f)
			ratios = append(ratios, figure{f.title, "", "%.2f", func(r *result) float64 { return f.of(r) / least }})
		}
		fmt.Fprintf(out, "\nRatios to the lowest figure of any configuration of the %s:\n\n", family)
		printFigures(out, ratios, results)
	}
}

func printFigures(out io.Writer, columns []figure, results []*result) {
	fmt.Fprint(out, "| |")
	for _, f := range columns {
		fmt.Fprintf(out, " %s |", strings.TrimSuffix(f.title+", "+f.unit, ", "))
	}
	fmt.Fprintln(out, "\n|---|"+strings.Repeat("---|", len(columns)))
	for _, r := range results {
		fmt.Fprintf(out, "| %s, %s |", r.family, r.setting)
		for _, f := range columns {
			fmt.Fprintf(out, " "+f.format+" |", f.of(r))
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
