package export

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// Failures that have nothing to do with the size of a request do not keep requests small: a lane
// keeps up with the incoming data even if its upstream hangs or is exhausted now and then.
func TestFailuresAtAnySizeDoNotKeepRequestsSmall(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			f := &fake{answer: func(ctx context.Context, _ otlp.Batch) (Result, error) {
				switch random.IntN(15) {
				case 0:
					return Result{}, failure(Large, "RESOURCE_EXHAUSTED")
				case 1:
					<-ctx.Done()
					return Result{}, failure(Slow, "timeout")
				}
				time.Sleep(5 * time.Millisecond)
				return Result{}, nil
			}}
			r := startLogs(t, f, rules{Policy: holding.Policy, timeout: time.Second})
			batch := records(t, 10, 100)
			for range 5 * 60 * 50 { // 55 kB a second, for five minutes
				r.putBatch(batch)
				time.Sleep(20 * time.Millisecond)
			}
			// zero if the queue is empty now
			oldest := r.queue.Account().Lanes[queue.Logs].Oldest
			if late := time.Since(oldest); !oldest.IsZero() && late > time.Minute {
				t.Errorf("seed %d: the oldest batch has waited for %v, want at most a minute", seed, late)
			}
			r.drain(time.Hour)
		})
	}
}

// If the upstream's limit is lowered while requests are large, the lane finds the new limit and
// then rarely exceeds it.
func TestLowerLimitIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var limit, refused atomic.Int64
		limit.Store(RequestSize)
		f := &fake{answer: func(_ context.Context, b otlp.Batch) (Result, error) {
			if int64(len(b.Data)) > limit.Load() {
				refused.Add(1)
				return Result{}, failure(Large, "413")
			}
			time.Sleep(5 * time.Millisecond)
			return Result{}, nil
		}}
		r := startLogs(t, f, holding)
		batch := records(t, 1000, 100)
		for i := range 9 * 60 {
			for range 4 {
				r.putBatch(batch) // 400 kB a second
			}
			if i == 60 {
				limit.Store(100_000)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := refused.Load(); n > 8 {
			t.Errorf("%d requests exceeded the limit in 8 minutes, want at most 8", n)
		}
		r.drain(time.Minute)
		equal(t, "queued", r.queue.Account().Queued(), 0)
	})
}
