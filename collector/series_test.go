package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// script is a source that yields the given values, one per collection. It omits negative ones.
type script struct {
	start  *StartTime
	values []int64
	series *Attributes
}

func (s *script) Collect(_ context.Context, to *Sample) {
	if s.series == nil {
		s.series = NewAttributes(s.start)
	}
	if v := s.values[0]; v >= 0 {
		to.Int(catalog.SystemPagingFaults, v, s.series)
	}
	s.values = s.values[1:]
}

// observed is a point of a script. Its start and time are in seconds since the start of the test.
type observed struct {
	value       int64
	start, time float64
}

// collectScript collects once a second until the script ends. For each collection it returns the
// point, or "none".
func collectScript(t *testing.T, temporality metricdata.Temporality, s *script) (all []any) {
	t.Helper()
	epoch := time.Now()
	p := NewProducer(slog.New(slog.DiscardHandler), temporality, Named{Name: "script", Source: s})
	for len(s.values) > 0 {
		time.Sleep(time.Second)
		scopes, err := p.Produce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var point any = "none"
		for _, m := range scopes[0].Metrics {
			if m.Name != catalog.SystemPagingFaults.Name {
				continue
			}
			d := m.Data.(metricdata.Sum[int64])
			if d.Temporality != temporality || !d.IsMonotonic {
				t.Errorf("temporality %v, monotonic %v; want %v, true", d.Temporality, d.IsMonotonic, temporality)
			}
			got := d.DataPoints[0]
			point = observed{got.Value, got.StartTime.Sub(epoch).Seconds(), got.Time.Sub(epoch).Seconds()}
		}
		all = append(all, point)
	}
	return all
}

func TestCounterValuesAndStartTimes(t *testing.T) {
	const hour = 3600.
	for name, c := range map[string]struct {
		temporality metricdata.Temporality
		start       time.Duration // relative to the start of the test
		values      []int64
		want        []any
	}{
		"cumulative": {
			metricdata.CumulativeTemporality, -time.Hour,
			[]int64{1000, 1003, 1010},
			[]any{observed{1000, -hour, 1}, observed{1003, -hour, 2}, observed{1010, -hour, 3}},
		},
		"cumulative, a small decrease is ignored": {
			metricdata.CumulativeTemporality, -time.Hour,
			[]int64{1000, 999, 501, 1001},
			[]any{observed{1000, -hour, 1}, observed{1000, -hour, 2}, observed{1000, -hour, 3}, observed{1001, -hour, 4}},
		},
		"cumulative, a reset": {
			metricdata.CumulativeTemporality, -time.Hour,
			[]int64{1000, 3, 5, 0},
			[]any{observed{1000, -hour, 1}, observed{3, 1, 2}, observed{5, 1, 3}, observed{0, 3, 4}},
		},
		"cumulative, gap": {
			metricdata.CumulativeTemporality, -time.Hour,
			[]int64{1000, -1, 1001, -1, 2},
			[]any{observed{1000, -hour, 1}, "none", observed{1001, -hour, 3}, "none", observed{2, 3, 5}},
		},
		"delta, earlier counts are excluded": {
			metricdata.DeltaTemporality, -time.Hour,
			[]int64{1000, 1003, 1010},
			[]any{"none", observed{3, 1, 2}, observed{7, 2, 3}},
		},
		"delta, started after the sidecar": {
			metricdata.DeltaTemporality, time.Second / 2,
			[]int64{5, 7},
			[]any{observed{5, .5, 1}, observed{2, 1, 2}},
		},
		"delta, started after the first collection but first read later": {
			metricdata.DeltaTemporality, 3 * time.Second / 2,
			[]int64{-1, -1, 5, 7},
			[]any{"none", "none", "none", observed{2, 3, 4}},
		},
		"delta, a small decrease, then a reset": {
			metricdata.DeltaTemporality, -time.Hour,
			[]int64{1000, 999, 1002, 4, 5},
			[]any{"none", observed{0, 1, 2}, observed{2, 2, 3}, observed{4, 3, 4}, observed{1, 4, 5}},
		},
		"delta, gap": {
			metricdata.DeltaTemporality, -time.Hour,
			[]int64{1000, -1, 1005},
			[]any{"none", "none", observed{5, 1, 3}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{start: StartedAt(time.Now().Add(c.start)), values: c.values}
				if got := collectScript(t, c.temporality, s); fmt.Sprint(got) != fmt.Sprint(c.want) {
					t.Errorf("got  %v\nwant %v", got, c.want)
				}
			})
		})
	}
}

// If the start time of a counter is unknown, it is the time of the counter's first point, with
// either temporality.
func TestUnknownStartTimeIsThatOfTheFirstPoint(t *testing.T) {
	for _, temporality := range []metricdata.Temporality{metricdata.CumulativeTemporality, metricdata.DeltaTemporality} {
		synctest.Test(t, func(t *testing.T) {
			got := collectScript(t, temporality, &script{start: &StartTime{}, values: []int64{-1, 0, 3}})
			want := []any{"none", observed{0, 2, 2}, observed{3, 2, 3}}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v: got %v, want %v", temporality, got, want)
			}
		})
	}
}

// The start time of a point is never after its time, even if the clock was set back.
func TestStartTimeIsNeverAfterPointTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := collectScript(
			t,
			metricdata.CumulativeTemporality,
			&script{start: StartedAt(time.Now().Add(time.Hour)), values: []int64{7}},
		)
		if want := []any{observed{7, 1, 1}}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// failing is a source whose errors are set by the test.
type failing struct{ errs []error }

func (f *failing) Collect(_ context.Context, s *Sample) {
	for _, err := range f.errs {
		s.Fail(err)
	}
	s.Note("this kernel lacks something")
}

// A cause is logged once, whatever numbers its errors contain and however often it recurs.
func TestEachCauseIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		f := &failing{}
		p := NewProducer(
			slog.New(slog.NewTextHandler(&text, nil)),
			metricdata.CumulativeTemporality,
			Named{Name: "failing", Source: f},
		)
		collect := func(errs ...error) {
			f.errs = errs
			if _, err := p.Produce(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		for i := range 10 {
			collect(
				fmt.Errorf(
					"system.memory.usage: negative value -%d",
					1000+i,
				),
				fmt.Errorf("/proc/%d/stat: field 10: %q is not a number", i, string(rune('a'+i))),
				fmt.Errorf("container %012x: not readable", i),
				errors.New("no vmstat"),
			)
			collect()
		}
		if got := strings.Count(text.String(), "WARN"); got != 4 {
			t.Errorf("%d warnings, want one for each of 4 causes:\n%s", got, text.String())
		}
		if got := strings.Count(text.String(), "INFO"); got != 2 {
			t.Errorf("%d INFO lines, want 2, the note and the recovery:\n%s", got, text.String())
		}
		time.Sleep(forgetAfter)
		collect(errors.New("no vmstat"))
		if got := strings.Count(text.String(), "no vmstat"); got != 2 {
			t.Errorf("a forgotten cause was logged %d times in total, want 2", got)
		}
	})
}

// A source whose errors all have different causes cannot exhaust memory or flood the log.
func TestCausesAreBounded(t *testing.T) {
	var text strings.Builder
	c := newCauses(slog.New(slog.NewTextHandler(&text, nil)), "x")
	for i := range 10 * maxCauses {
		c.report(time.Now(), []error{errors.New(strings.Repeat("x", i+1))}, nil)
	}
	if got := strings.Count(text.String(), "\n"); got != maxCauses || len(c.seen) != maxCauses {
		t.Errorf("%d lines logged and %d causes remembered, want %d of each", got, len(c.seen), maxCauses)
	}
}
