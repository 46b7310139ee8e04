package export

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

// The backlog is sent oldest first, one request at a time, joined into requests of bounded size.
func TestBacklogIsJoinedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := make(chan struct{})
		f := &fake{answer: func(context.Context, otlp.Batch) (Result, error) {
			<-up
			return Result{}, nil
		}}
		r := start(t, f, patient)
		r.put("first")
		synctest.Wait() // it is in flight alone
		r.put("a", "b")
		big := strings.Repeat("x", RequestSize/2-1)
		r.put(big, big, strings.Repeat("y", 3*RequestSize), "z")
		synctest.Wait()
		equal(t, "requests in flight", len(f.requests), 1)
		close(up)
		synctest.Wait()
		equalSlices(
			t,
			"requests",
			f.accepted,
			[]string{"first", "ab" + big + big, strings.Repeat("y", 3*RequestSize), "z"},
		)
		equal(t, "points of a joined request", f.requests[1].Points, 40)
		a := r.Account()
		equal(t, "metrics", a.Sent[queue.Metrics], 70)
		equal(t, "rejected", len(a.Rejected), 0)
		equal(t, "queued", r.queue.Account().Queued(), 0)
		r.drain(time.Second)
		equal(t, "closed", f.closed, 1)
		equal(t, "recorded", r.outcomes()[""], uint64(len(f.requests)))
	})
}

// An outage of any length loses nothing, and is logged in one line at its beginning and one at its
// end.
func TestOutageLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		f := &fake{answer: func(context.Context, otlp.Batch) (Result, error) {
			if time.Since(begin) < 24*time.Hour {
				return Result{}, passing("UNAVAILABLE")
			}
			return Result{}, nil
		}}
		r := start(t, f, patient)
		if err := r.Ready(); err != nil || r.metricsLane().Asked {
			t.Errorf("before the first request: error %v, asked %v; want neither", err, r.metricsLane().Asked)
		}
		for i := range 24 * 60 {
			r.put(fmt.Sprint(i, ";"))
			time.Sleep(time.Minute)
		}
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "not now") ||
			r.metricsLane().Failure.Reason != "UNAVAILABLE" || !r.metricsLane().Asked {
			t.Errorf("in the outage: error %v, asked %v; want both", err, r.metricsLane().Asked)
		}
		equal(t, "queued in the outage", r.queue.Account().Queued(), 24*60*10)
		time.Sleep(time.Minute)
		synctest.Wait()
		var all strings.Builder
		for i := range 24 * 60 {
			fmt.Fprint(&all, i, ";")
		}
		equal(t, "arrived data", strings.Join(f.accepted, ""), all.String())
		equal(t, "requests for the backlog", len(f.accepted), 2)
		equal(t, "sent", r.Account().Sent[queue.Metrics], 24*60*10)
		if err := r.Ready(); err != nil || !r.metricsLane().Asked {
			t.Errorf("after the outage: error %v, asked %v", err, r.metricsLane().Asked)
		}
		equal(t, "log lines", r.logLines(), 2)
		r.drain(time.Second)
		got := r.outcomes()
		equal(t, "failures recorded", got["UNAVAILABLE"], uint64(len(f.requests)-2))
	})
}

// Waits are random, between 1 s and a limit that doubles up to 30 s. They start over with each
// request, and are at least as long as the upstream asks.
func TestBackoff(t *testing.T) {
	p := Policy{LeastBackoff: time.Second, LongestBackoff: 30 * time.Second}
	ceilings := []int{2, 4, 8, 16, 30, 30, 30}
	var low, high [7]time.Duration
	for range 2000 {
		b := NewBackoff(p)
		for i := range ceilings {
			d := b.Next(0)
			if low[i] == 0 || d < low[i] {
				low[i] = d
			}
			high[i] = max(high[i], d)
		}
	}
	for i, seconds := range ceilings {
		ceiling := time.Duration(seconds) * time.Second
		spread := (ceiling - time.Second) / 50
		if low[i] < time.Second || low[i] > time.Second+spread || high[i] > ceiling || high[i] < ceiling-spread {
			t.Errorf("wait %d ranges from %v to %v, want 1s to %v", i, low[i], high[i], ceiling)
		}
	}
	for range 100 {
		if d := NewBackoff(p).Next(40 * time.Second); d < 40*time.Second || d > 41*time.Second {
			t.Errorf("wait is %v, want 40s to 41s as requested", d)
		}
	}
}

func TestRetriesWaitAsLongAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.answer = func(context.Context, otlp.Batch) (Result, error) {
			if len(f.requests) < 20 {
				return Result{}, &Failure{
					Reason: "RESOURCE_EXHAUSTED",
					Kind:   Passing,
					After:  90 * time.Second,
					Err:    errors.New("slow down"),
				}
			}
			return Result{}, nil
		}
		r := start(t, f, patient)
		r.put("x")
		time.Sleep(time.Hour)
		synctest.Wait()
		equal(t, "requests", len(f.requests), 20)
		for i := 1; i < len(f.at); i++ {
			if gap := f.at[i].Sub(f.at[i-1]); gap < 90*time.Second || gap > 91*time.Second {
				t.Errorf("retried after %v, want 90s to 91s as requested", gap)
			}
		}
		r.drain(time.Second)
	})
}

// A request that hangs is abandoned after the timeout and sent again.
func TestHangingRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.answer = func(ctx context.Context, _ otlp.Batch) (Result, error) {
			if len(f.requests) == 1 {
				<-ctx.Done()
				return Result{}, passing("DEADLINE_EXCEEDED")
			}
			return Result{}, nil
		}
		r := start(t, f, patient)
		r.put("x")
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "requests", len(f.requests), 2)
		if gap := f.at[1].Sub(f.at[0]); gap < 11*time.Second || gap > 12*time.Second {
			t.Errorf("sent again after %v, want 10s plus a backoff of 1s to 2s", gap)
		}
		r.drain(time.Second)
	})
}

// startJoined starts a rig and puts a batch for each element of data while the upstream is busy
// with another request, so that the batches are joined into one request.
func startJoined(t *testing.T, f *fake, data ...string) *rig {
	t.Helper()
	return startJoinedWith(t, f, patient, data...)
}

// startJoinedWith is like startJoined, but with the given policy.
func startJoinedWith(t *testing.T, f *fake, policy rules, data ...string) *rig {
	t.Helper()
	answer, free := f.answer, make(chan struct{})
	f.answer = func(ctx context.Context, b otlp.Batch) (Result, error) {
		if string(b.Data) == "busy" {
			<-free
			return Result{}, nil
		}
		return answer(ctx, b)
	}
	r := start(t, f, policy)
	r.put("busy")
	synctest.Wait()
	r.put(data...)
	close(free)
	synctest.Wait()
	return r
}

// When a joined request is permanently rejected, only the bad batches are lost, and the order is
// kept.
func TestOnlyTheBadBatchIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := 0
		f := &fake{answer: func(_ context.Context, b otlp.Batch) (Result, error) {
			switch {
			case strings.Contains(string(b.Data), "BAD"):
				return Result{}, permanent("INVALID_ARGUMENT")
			case string(b.Data) == "c" && faults < 3: // an outage in the middle
				faults++
				return Result{}, passing("UNAVAILABLE")
			}
			return Result{}, nil
		}}
		r := startJoined(t, f, "a", "BAD1", "b", "c", "BAD2", "d")
		time.Sleep(time.Minute)
		synctest.Wait()
		equalSlices(t, "taken", f.accepted, []string{"busy", "a", "b", "c", "d"})
		equal(t, "requests", len(f.requests), 1+11+3)
		a := r.Account()
		equal(t, "sent", a.Sent[queue.Metrics], 50)
		equal(t, "rejected", a.Rejected[Rejection{queue.Metrics, "INVALID_ARGUMENT"}], 20)
		equal(t, "queued", r.queue.Account().Queued(), 0)
		r.drain(time.Second)
	})
}

// One bad batch among many costs a few additional requests, not one for each other batch.
func TestRefusedRequestIsHalved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(_ context.Context, b otlp.Batch) (Result, error) {
			if strings.Contains(string(b.Data), "BAD") {
				return Result{}, permanent("INVALID_ARGUMENT")
			}
			return Result{}, nil
		}}
		batches := slices.Repeat([]string{"good"}, 1024)
		batches[700] = "BAD"
		r := startJoined(t, f, batches...)
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "requests", len(f.requests), 1+1+2*10)
		equal(t, "sent", r.Account().Sent[queue.Metrics], 10+1023*10)
		equal(t, "rejected", r.Account().Rejected[Rejection{queue.Metrics, "INVALID_ARGUMENT"}], 10)
		r.drain(time.Second)
	})
}

// An invalid batch that is sent alone is lost immediately, is counted by its reason, and does not
// delay later batches. The lane is in the state rejecting until there has been no invalid batch for
// a minute. Each of the two transitions is logged in one line.
func TestInvalidIsRejectedImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errs := map[string]error{"a": permanent("INVALID_ARGUMENT"), "b": permanent("400"), "c": permanent("400")}
		f := &fake{
			answer: func(_ context.Context, b otlp.Batch) (Result, error) { return Result{}, errs[string(b.Data)] },
		}
		r := start(t, f, patient)
		for _, d := range []string{"a", "b", "good", "c"} {
			r.put(d)
			synctest.Wait()
			equal(t, "state after "+d, r.metricsLane().State, Rejecting)
			equal(t, "available after "+d, r.metricsLane().Available, true)
		}
		equal(t, "log lines", r.logLines(), 1)
		equal(t, "away", r.queue.Account().Lanes[queue.Metrics].Away, false)
		time.Sleep(2 * okAfter)
		r.put("good")
		synctest.Wait()
		equal(t, "log lines", r.logLines(), 2)
		if err := r.Ready(); err != nil {
			t.Error(err)
		}
		a := r.Account()
		equal(t, "sent", a.Sent[queue.Metrics], 20)
		equal(t, "invalid", a.Rejected[Rejection{queue.Metrics, "INVALID_ARGUMENT"}], 10)
		equal(t, "bad request", a.Rejected[Rejection{queue.Metrics, "400"}], 20)
		equal(t, "requests", len(f.requests), 5)
		r.drain(time.Second)
	})
}

// Items that an upstream rejects from an accepted request are counted, never more than the request
// had, and not sent again.
func TestPartialSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		results := map[string]Result{
			"a": {
				4,
				"too old",
			},
			"b": {4, "too old"},
			"c": {},
			"d": {0, "deprecated"},
			"e": {},
			"f": {4711, "all of it"},
			"g": {-5, ""},
		}
		f := &fake{
			answer: func(_ context.Context, b otlp.Batch) (Result, error) { return results[string(b.Data)], nil },
		}
		r := start(t, f, patient)
		for _, d := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			r.put(d)
			synctest.Wait()
			if err := r.Ready(); err != nil {
				t.Error(err)
			}
		}
		a := r.Account()
		equal(t, "sent", a.Sent[queue.Metrics], 70-4-4-10)
		equal(t, "rejected", a.Rejected[Rejection{queue.Metrics, "partial"}], 18)
		equal(t, "requests", len(f.requests), 7)
		equal(t, "queued", r.queue.Account().Queued(), 0)
		for _, line := range []string{"rejected some items\" lane=metrics items=4 message=\"too old\"", "with a warning\" lane=metrics message=deprecated", "items=10 message=\"all of it\""} {
			equal(t, line, strings.Count(r.log.String(), line), 1)
		}
		equal(t, "log lines", r.logLines(), 3)
		r.drain(time.Second)
	})
}
