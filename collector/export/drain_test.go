package export

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

func TestDrain(t *testing.T) {
	for name, c := range map[string]struct {
		before time.Duration                   // requested by the upstream before the call to Drain
		fault  func(since time.Duration) error // after the call
		took   time.Duration
		left   int64 // in points
	}{
		"at once":               {0, func(time.Duration) error { return nil }, 0, 0},
		"soon after failures":   {0, func(d time.Duration) error { return failing(d < 450*time.Millisecond, 0) }, 500 * time.Millisecond, 0},
		"not before asked":      {0, func(d time.Duration) error { return failing(d < 900*time.Millisecond, time.Second) }, time.Second, 0},
		"not before asked once": {20 * time.Minute, func(time.Duration) error { return nil }, 1500 * time.Millisecond, 20},
		"never":                 {0, func(time.Duration) error { return failing(true, 0) }, 1500 * time.Millisecond, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var begin time.Time
				f := &fake{answer: func(context.Context, otlp.Batch) (Result, error) {
					if begin.IsZero() {
						return Result{}, failing(true, c.before)
					}
					return Result{}, c.fault(time.Since(begin))
				}}
				r := start(t, f, patient)
				r.put("a")
				time.Sleep(10 * time.Minute) // now it waits up to 30 s
				synctest.Wait()
				r.put("b")
				begin = time.Now()
				r.drain(1500 * time.Millisecond)
				equal(t, "took", time.Since(begin), c.took)
				equal(t, "queued", r.queue.Account().Queued(), c.left)
				equal(t, "sent", r.Account().Sent[queue.Metrics], 20-c.left)
				equal(t, "closed", f.closed, 1)
			})
		})
	}
}

func failing(yes bool, after time.Duration) error {
	if !yes {
		return nil
	}
	return &Failure{Reason: "UNAVAILABLE", Kind: Passing, After: after, Err: errors.New("not now")}
}

// Requests that Drain cuts off return to the queue, and do not count against the upstream.
func TestDrainCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(ctx context.Context, b otlp.Batch) (Result, error) {
			if string(b.Data) == "good" {
				return Result{}, nil
			}
			<-ctx.Done()
			return Result{}, passing("CANCELLED")
		}}
		r := start(t, f, patient)
		r.put("good")
		synctest.Wait()
		r.put("hangs")
		synctest.Wait()
		r.put("waits")
		begin := time.Now()
		r.drain(time.Second)
		equal(t, "took", time.Since(begin), time.Second)
		equal(t, "queued", r.queue.Account().Queued(), 20)
		if err := r.Ready(); err != nil {
			t.Error(err)
		}
		equal(t, "lines of log", r.lines(), 0)
		equal(t, "outcomes recorded", len(r.outcomes()), 1)
		left, err := r.queue.Take(context.Background(), queue.Metrics, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := left.Range(0, left.Len())
		equal(t, "first of the queue", string(joined(data)), "hangswaits")
	})
}

// Drain returns at once if the queue is empty, whether or not the queue was closed first.
func TestEndsWithNothingToSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, first := range []bool{false, true} {
			r := start(t, &fake{answer: takes}, patient)
			synctest.Wait()
			if first {
				if err := r.queue.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}
			begin := time.Now()
			r.drain(time.Minute)
			equal(t, "took", time.Since(begin), 0)
		}
	})
}
