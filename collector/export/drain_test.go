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
		before time.Duration                   // wait requested by the upstream before the call to Drain
		fault  func(since time.Duration) error // response of the upstream after the call
		took   time.Duration
		left   int64 // points left in the queue
	}{
		"immediate success":            {0, func(time.Duration) error { return nil }, 0, 0},
		"success after failures":       {0, func(d time.Duration) error { return failIf(d < 450*time.Millisecond, 0) }, 500 * time.Millisecond, 0},
		"wait requested while closing": {0, func(d time.Duration) error { return failIf(d < 900*time.Millisecond, time.Second) }, time.Second, 0},
		"longer wait requested before": {20 * time.Minute, func(time.Duration) error { return nil }, 1500 * time.Millisecond, 20},
		"no success":                   {0, func(time.Duration) error { return failIf(true, 0) }, 1500 * time.Millisecond, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var begin time.Time
				f := &fake{answer: func(context.Context, otlp.Batch) (Result, error) {
					if begin.IsZero() {
						return Result{}, failIf(true, c.before)
					}
					return Result{}, c.fault(time.Since(begin))
				}}
				r := start(t, f, patient)
				r.put("a")
				time.Sleep(10 * time.Minute) // now the backoff is up to 30 s
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

func failIf(yes bool, after time.Duration) error {
	if !yes {
		return nil
	}
	return &Failure{Reason: "UNAVAILABLE", Kind: Passing, After: after, Err: errors.New("not now")}
}

// Batches whose request is cut off by Drain return to the queue, and the request does not count as
// a failure of the upstream.
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
		equal(t, "log lines", r.logLines(), 0)
		equal(t, "outcomes recorded", len(r.outcomes()), 1)
		left, err := r.queue.Take(context.Background(), queue.Metrics, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := left.Range(0, left.Len())
		equal(t, "batches left in the queue", string(joined(data)), "hangswaits")
	})
}

// Drain returns immediately if the queue is empty, whether or not the queue was closed first.
func TestDrainOfEmptyQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, first := range []bool{false, true} {
			r := start(t, &fake{answer: accept}, patient)
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
