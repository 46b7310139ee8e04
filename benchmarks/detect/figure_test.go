package main

import (
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

var base = time.Unix(1_800_000_000, 0)

// at returns a point of series s of a metric, some seconds after base.
func at(second int, metric, s string, value float64, count uint64) otlptest.Point {
	return otlptest.Point{
		Metric:     metric,
		Time:       base.Add(time.Duration(second) * time.Second),
		Attributes: map[string]string{"s": s},
		Value:      value,
		Count:      count,
	}
}

func TestFigures(t *testing.T) {
	points := []otlptest.Point{
		at(
			0,
			"counter",
			"a",
			10,
			0,
		),
		at(0, "counter", "b", 100, 0),
		at(0, "constant", "a", 5, 0),
		at(0, "gauge", "a", 1, 0),
		at(0, "histogram", "a", 1, 1),
		at(
			2,
			"counter",
			"a",
			14,
			0,
		),
		at(2, "counter", "b", 106, 0),
		at(2, "constant", "a", 5, 0),
		at(2, "gauge", "a", 2, 0),
		at(2, "histogram", "a", 7, 4),
	}
	for name, c := range map[string]struct {
		value func([]otlptest.Point) (float64, bool)
		want  float64
		ok    bool
	}{
		"rate over all series":          {rate("counter"), 5, true},
		"rate of one series":            {rate("counter", "s", "a"), 2, true},
		"rate of a constant counter":    {rate("constant"), 0, true},
		"rate of an absent metric":      {rate("none"), 0, false},
		"mean":                          {mean("histogram"), 2, true},
		"mean of an absent metric":      {mean("none"), 0, false},
		"level":                         {level("gauge"), 1.5, true},
		"level of an absent metric":     {level("none"), 0, false},
		"ratio":                         {ratio(rate("counter", "s", "a"), rate("counter", "s", "b")), 2. / 3, true},
		"ratio with a denominator of 0": {ratio(rate("counter"), rate("constant")), 0, false},
		"milliseconds":                  {milliseconds(mean("histogram")), 2000, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := c.value(points); ok != c.ok || ok && got != c.want {
				t.Errorf("got %v, %v; want %v, %v", got, ok, c.want, c.ok)
			}
		})
	}
}

// A fault is detected only if the value rises during the fault and falls after it. An undefined
// value is a dash.
func TestFaultIsDetectedIfTheFigureRisesAndFalls(t *testing.T) {
	windows := [3]window{}
	for i := range windows {
		windows[i] = window{base.Add(time.Duration(10*i) * time.Second), base.Add(time.Duration(10*i+5) * time.Second)}
	}
	for name, c := range map[string]struct {
		values   [3]float64 // 0: no point
		want     row
		detected bool
	}{
		"rises and falls":  {[3]float64{1, 3, 1.2}, row{"f", "1.0", "3.0", "1.2"}, true},
		"absent before":    {[3]float64{0, 3, 1}, row{"f", "–", "3.0", "1.0"}, true},
		"does not fall":    {[3]float64{1, 3, 2}, row{"f", "1.0", "3.0", "2.0"}, false},
		"rises too little": {[3]float64{0.1, 1, 0.1}, row{"f", "0.1", "1.0", "0.1"}, false},
		"absent":           {[3]float64{}, row{"f", "–", "–", "–"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{}
			for i, v := range c.values {
				if v != 0 {
					s.points = append(s.points, at(10*i+1, "gauge", "", v, 0))
				}
				// outside every window
				s.points = append(s.points, at(10*i+7, "gauge", "", 99, 0))
			}
			r := s.report("title", windows, 1.5, figure{"f", "%.1f", level("gauge")})
			if r.Rows[0] != c.want || r.Detected != c.detected {
				t.Errorf("got %v, detected %v; want %v, %v", r.Rows[0], r.Detected, c.want, c.detected)
			}
		})
	}
}
