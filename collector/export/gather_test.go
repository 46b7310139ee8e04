package export

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Batches that arrive in quick succession are gathered. A batch that arrives alone does not wait,
// nor does the last one before Drain returns.
func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const gather = 10 * time.Millisecond
		f := &fake{answer: accept}
		r := start(t, f, rules{timeout: time.Second, gather: gather})
		begin := time.Now()
		r.put("first")
		synctest.Wait()
		r.put("a")
		time.Sleep(gather - 1)
		r.put("b")
		time.Sleep(time.Second)
		r.put("alone")
		synctest.Wait()
		r.put("last")
		r.drain(gather / 2)
		equalSlices(t, "requests", f.accepted, []string{"first", "ab", "alone", "last"})
		for i, want := range []time.Duration{0, gather, time.Second + gather - 1, time.Second + gather - 1} {
			equal(t, "time of "+f.accepted[i], f.at[i].Sub(begin), want)
		}
	})
}

func TestGatherDoesNotSlowABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := make(chan struct{})
		f := &fake{answer: func(context.Context, otlp.Batch) (Result, error) {
			<-up
			return Result{}, nil
		}}
		r := start(t, f, rules{timeout: time.Second, gather: 10 * time.Millisecond})
		r.put("first")
		synctest.Wait()
		full := strings.Repeat("x", RequestSize)
		r.put(full, full, full)
		close(up)
		synctest.Wait()
		equal(t, "requests without a delay", len(f.accepted), 4)
		r.drain(time.Second)
	})
}

func TestSmallQueueDoesNotGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: accept}
		r := startLimited(t, f, rules{timeout: time.Second, gather: 10 * time.Millisecond}, 1<<10)
		r.put("a")
		synctest.Wait()
		r.put("b")
		synctest.Wait()
		equalSlices(t, "requests without a delay", f.accepted, []string{"a", "b"})
		r.drain(time.Second)
	})
}
