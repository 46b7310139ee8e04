package wrap_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func TestExemplarOfLongestWaitHasTrace(t *testing.T) {
	check := func(t *testing.T, stats func() instrument.Stats, want ...instrument.Exemplar) {
		t.Helper()
		got := stats().Exemplars
		if len(got) != len(want) {
			t.Fatalf("got exemplars %+v, want %+v", got, want)
		}
		for i, e := range got {
			e.Ended, e.Span = time.Time{}, trace.SpanID{}
			if e != want[i] {
				t.Errorf("got exemplar %+v, want %+v", e, want[i])
			}
		}
	}
	acquired := instrument.Exemplar{Outcome: instrument.Acquired, Wait: time.Second, Trace: trace.TraceID{1}}
	timedOut := instrument.Exemplar{Outcome: instrument.TimedOut, Wait: 2 * time.Second, Trace: trace.TraceID{2}}
	bubble := func(name string, test func(t *testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
	requests := func(t *testing.T, acquire func(context.Context) error, release func()) {
		t.Helper()
		if err := acquire(pooltest.InTrace(t.Context(), 9)); err != nil { // this request does not wait
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, release)
		if err := acquire(pooltest.InTrace(t.Context(), 1)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(pooltest.InTrace(t.Context(), 2), 2*time.Second)
		defer cancel()
		if err := acquire(ctx); err == nil {
			t.Fatal("Acquire succeeded, want a timeout")
		}
		release()
	}
	bubble("semaphore", func(t *testing.T) {
		s := mustSemaphore(t, 1)
		defer s.Close()
		requests(t, func(ctx context.Context) error { return s.Acquire(ctx, 1) }, func() { s.Release(1) })
		check(t, s.Stats, acquired, timedOut)
	})
	bubble("channel", func(t *testing.T) {
		s, _ := mustChannel(t, 1)
		defer s.Close()
		requests(t, s.Acquire, s.Release)
		check(t, s.Stats, acquired, timedOut)
	})
	bubble("groups", func(t *testing.T) {
		s := mustGroups(t)
		defer s.Close()
		g, _ := s.WithContext(pooltest.InTrace(t.Context(), 1))
		g.SetLimit(1)
		for range 2 {
			g.Go(func() error { time.Sleep(time.Second); return nil })
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		check(t, s.Stats, acquired)
	})
}
