package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// figure is a value computed from the points of a window. ok is false if it is undefined.
type figure struct {
	what   string
	format string
	value  func(points []otlptest.Point) (v float64, ok bool)
}

// series returns the points of metric whose attributes include attrs, without changing their order.
// attrs holds alternating keys and values.
func series(points []otlptest.Point, metric string, attrs ...string) []otlptest.Point {
	want := map[string]string{}
	for i := 0; i < len(attrs); i += 2 {
		want[attrs[i]] = attrs[i+1]
	}
	var found []otlptest.Point
	for _, p := range points {
		match := p.Metric == metric
		for k, v := range want {
			match = match && p.Attributes[k] == v
		}
		if match {
			found = append(found, p)
		}
	}
	return found
}

// rate returns a function that computes the rate of a counter per second, summed over the matching
// series.
func rate(metric string, attrs ...string) func([]otlptest.Point) (float64, bool) {
	return func(points []otlptest.Point) (sum float64, ok bool) {
		for _, s := range bySeries(series(points, metric, attrs...)) {
			if first, last := s[0], s[len(s)-1]; last.Time.After(first.Time) {
				sum, ok = sum+(last.Value-first.Value)/last.Time.Sub(first.Time).Seconds(), true
			}
		}
		return sum, ok
	}
}

// mean returns a function that computes the mean of the values that a histogram recorded in the
// window. The mean is undefined if there are no values.
func mean(metric string, attrs ...string) func([]otlptest.Point) (float64, bool) {
	return func(points []otlptest.Point) (float64, bool) {
		var sum float64
		var count uint64
		for _, s := range bySeries(series(points, metric, attrs...)) {
			first, last := s[0], s[len(s)-1]
			sum, count = sum+last.Value-first.Value, count+last.Count-first.Count
		}
		return sum / float64(count), count > 0
	}
}

// level returns a function that computes the mean of a gauge's points.
func level(metric string, attrs ...string) func([]otlptest.Point) (float64, bool) {
	return func(points []otlptest.Point) (float64, bool) {
		var sum float64
		found := series(points, metric, attrs...)
		for _, p := range found {
			sum += p.Value
		}
		return sum / float64(len(found)), len(found) > 0
	}
}

// ratio returns a function that computes a / b, which is undefined if b is 0.
func ratio(a, b func([]otlptest.Point) (float64, bool)) func([]otlptest.Point) (float64, bool) {
	return func(points []otlptest.Point) (float64, bool) {
		x, okX := a(points)
		y, okY := b(points)
		return x / y, okX && okY && y != 0
	}
}

func milliseconds(f func([]otlptest.Point) (float64, bool)) func([]otlptest.Point) (float64, bool) {
	return func(points []otlptest.Point) (float64, bool) {
		v, ok := f(points)
		return v * 1000, ok
	}
}

// bySeries groups points by attributes. It omits series with a single point.
func bySeries(points []otlptest.Point) map[string][]otlptest.Point {
	groups := map[string][]otlptest.Point{}
	for _, p := range points {
		key := fmt.Sprint(p.Attributes) // fmt sorts maps
		groups[key] = append(groups[key], p)
	}
	maps.DeleteFunc(groups, func(_ string, s []otlptest.Point) bool { return len(s) < 2 })
	return groups
}

// report evaluates figures in the three windows. The fault counts as detected if the first figure's
// value during the fault reaches the given minimum and is at least twice its values before and
// after. An undefined value counts as 0.
func (s *session) report(title string, windows [3]window, minimum float64, figures ...figure) report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := report{Title: title}
	for i, f := range figures {
		var texts [3]string
		var values [3]float64
		for j, w := range windows {
			inside := slices.DeleteFunc(
				slices.Clone(s.points),
				func(p otlptest.Point) bool { return p.Time.Before(w.from) || p.Time.After(w.to) },
			)
			texts[j] = "–"
			if v, ok := f.value(inside); ok {
				texts[j], values[j] = fmt.Sprintf(f.format, v), v
			}
		}
		r.Rows = append(r.Rows, row{f.what, texts[0], texts[1], texts[2]})
		if i == 0 {
			r.Detected = values[1] >= max(minimum, 2*values[0], 2*values[2])
		}
	}
	return r
}
