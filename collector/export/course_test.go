package export

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

func failure(kind Kind, reason string) error {
	return &Failure{Reason: reason, Kind: kind, Err: errors.New("the words of " + reason)}
}

// holding is a policy that holds for five minutes.
var holding = rules{Policy: Policy{Hold: 5 * time.Minute}, timeout: 10 * time.Second}

// A rollout during which refusals look permanent loses nothing and divides no request. In that time
// only a few requests are sent, and its beginning and its end are logged in one line each.
func TestRollOutLosesNothing(t *testing.T) {
	for _, reason := range []string{"401", "404", "308", "UNIMPLEMENTED"} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			f := &fake{answer: func(context.Context, otlp.Batch) (Result, error) {
				if time.Since(begin) < 4*time.Minute {
					return Result{}, failure(Held, reason)
				}
				return Result{}, nil
			}}
			r := start(t, f, holding)
			for i := range 300 {
				r.put(fmt.Sprint(i, ";"))
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			equal(t, "state", r.metrics().State, Retrying)
			equal(t, "away", r.queue.Account().Lanes[queue.Metrics].Away, true)
			time.Sleep(4 * time.Minute)
			synctest.Wait()
			equal(t, "sent", r.Account().Sent[queue.Metrics], 3000)
			equal(t, "rejected", len(r.Account().Rejected), 0)
			equal(t, "lines of log", r.lines(), 2)
			equal(t, "away", r.queue.Account().Lanes[queue.Metrics].Away, false)
			if len(f.tries) > 40 {
				t.Errorf("%d requests in 4 minutes", len(f.tries))
			}
			r.drain(time.Second)
		})
	}
}

// Items refused for longer than the hold time are lost, in whole requests and not all at the same
// time. They are counted, and logged once.
func TestHeldTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		up := false
		f.answer = func(context.Context, otlp.Batch) (Result, error) {
			if up {
				return Result{}, nil
			}
			return Result{}, failure(Held, "401")
		}
		r := start(t, f, holding)
		for i := range 300 {
			r.put(fmt.Sprint(i, ";"))
		}
		time.Sleep(5*time.Minute - time.Second)
		synctest.Wait()
		equal(t, "rejected before the hold time", len(r.Account().Rejected), 0)
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "state", r.metrics().State, Rejecting)
		equal(t, "available", r.metrics().Available, false)
		equal(t, "rejected", r.Account().Rejected[Rejection{queue.Metrics, "401"}], 3000)
		before := len(f.tries)
		for range 60 { // for one more hour
			r.put("x")
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if n := len(f.tries) - before; n > 130 {
			t.Errorf("%d requests in an hour", n)
		}
		equal(t, "lines of log", r.lines(), 2)
		synctest.Wait()
		up = true
		r.put("good")
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "state", r.metrics().State, OK)
		equal(t, "lines of log", r.lines(), 3)
		for _, want := range []string{"the words of 401", "permanently rejected", "accepting items again", "lost=36"} {
			if !strings.Contains(r.log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, r.log)
			}
		}
		r.drain(time.Second)
	})
}

// If a server fails for some batches, as Prometheus does for samples that are too old, those
// batches are lost after the hold time, and no others.
func TestServerErrorOfOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(_ context.Context, b otlp.Batch) (Result, error) {
			if strings.Contains(string(b.Data), "OLD") {
				return Result{}, failure(Split, "500")
			}
			return Result{}, nil
		}}
		r := blockedBy(t, f, holding, "a", "OLD", "b", "c")
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		equal(t, "sent", r.Account().Sent[queue.Metrics], 40)
		equal(t, "rejected", r.Account().Rejected[Rejection{queue.Metrics, "500"}], 10)
		r.drain(time.Second)
	})
}

// Further causes of an outage are logged too, although not every one.
func TestCauseOfAnOutageChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		f := &fake{answer: func(context.Context, otlp.Batch) (Result, error) {
			if time.Since(begin) < 10*time.Minute {
				return Result{}, &Failure{Reason: "UNAVAILABLE", Err: errors.New("connection refused")}
			}
			return Result{}, &Failure{Reason: "UNAVAILABLE", Err: errors.New("certificate has expired")}
		}}
		r := start(t, f, holding)
		r.put("x")
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		equal(t, "lines of log", r.lines(), 2)
		if !strings.Contains(r.log.String(), "certificate has expired") ||
			!strings.Contains(r.Ready().Error(), "certificate has expired") {
			t.Errorf("%s\n%v", r.log, r.Ready())
		}
		r.drain(0)
	})
}

// A lane that is refused, hangs or is slow does not affect the others.
func TestLanesDoNotWaitForEachOther(t *testing.T) {
	for name, answer := range map[string]func(ctx context.Context) error{
		"503":  func(context.Context) error { return failure(Passing, "503") },
		"401":  func(context.Context) error { return failure(Held, "401") },
		"hang": func(ctx context.Context) error { <-ctx.Done(); return failure(Slow, "timeout") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad := &fake{
					answer: func(ctx context.Context, _ otlp.Batch) (Result, error) { return Result{}, answer(ctx) },
				}
				good, own := &fake{answer: takes}, &fake{answer: takes}
				r := start(t, bad, holding)
				r.drain(0)
				lanes := []Lane{
					{ID: queue.Traces, Client: bad, Timeout: 10 * time.Second, InFlight: 2},
					{ID: queue.Metrics, Client: good, Timeout: 10 * time.Second, InFlight: 1},
					{ID: queue.Own, Client: own, Timeout: 10 * time.Second, InFlight: 1},
				}
				var err error
				if r.Exporter, err = New(r.queue, lanes, holding.Policy, noop.Meter{}, r.logger); err != nil {
					t.Fatal(err)
				}
				for range 100 {
					r.putBatch(otlp.Batch{Signal: otlp.Traces, Points: 1, Data: []byte("t")})
					r.putBatch(otlp.Batch{Signal: otlp.Metrics, Points: 1, Data: []byte("m")})
					if err := r.queue.Put(
						context.Background(),
						queue.Own,
						otlp.Batch{Signal: otlp.Metrics, Points: 1, Data: []byte("o")},
					); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					if a := r.queue.Account(); a.Lanes[queue.Metrics].Queued+a.Lanes[queue.Own].Queued != 0 {
						t.Fatalf("metrics are waiting for traces: %+v", a)
					}
					time.Sleep(time.Second)
					synctest.Wait()
				}
				a := r.Account()
				if !a.Lanes[queue.Metrics].Available || a.Lanes[queue.Traces].Available ||
					a.Sent[queue.Metrics] != 100 ||
					a.Sent[queue.Own] != 100 {
					t.Errorf("%+v", a)
				}
				if n := strings.Count(r.log.String(), "lane=traces"); n != 1 || n != r.lines() {
					t.Errorf("%d lines of log:\n%s", r.lines(), r.log)
				}
				r.drain(0)
			})
		})
	}
}

// A backlog is sent at a multiple of the rate at which it grew, or at which the lane currently
// receives, without bursts.
func TestPace(t *testing.T) {
	p, now := NewPace(3), time.Unix(1000, 0)
	const grew = 40 << 10 // bytes per second, for an hour
	p.Look(0, 3600*grew, now.Add(-time.Hour), now)
	equal(t, "share", p.Share(), int64(3*grew*2))
	equal(t, "the first", p.Backlog(3*grew, now), 0)
	equal(t, "the next", p.Backlog(3*grew, now), time.Second)
	equal(t, "one after a second", p.Backlog(1, now.Add(time.Second)), time.Second)

	now = now.Add(paceWindow)
	p.Look(int64(100<<10*paceWindow.Seconds()), 100, now.Add(-time.Hour), now)
	equal(t, "share at a higher live rate", p.Share(), int64(2*3*100<<10))
	p = NewPace(3)
	p.Look(0, 1, now.Add(-time.Hour), now)
	equal(t, "least share", p.Share(), minShare)
	equal(t, "at least", p.Backlog(minPace, now), 0)
	equal(t, "then", p.Backlog(1, now), time.Second)

	p = NewPace(0)
	equal(t, "no bound", p.Share(), RequestSize)
	_ = p.Backlog(RequestSize, now)
	equal(t, "no bound", p.Backlog(RequestSize, now), 0)
}

// After an outage the backlog leaves no faster than the configured multiple of the live rate, in
// either order of the queue. Later batches are not delayed once the backlog is gone.
func TestBacklogIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, interval, outage = 50_000, 10 * time.Second, time.Hour
		begin := time.Now()
		f := &fake{answer: func(context.Context, otlp.Batch) (Result, error) {
			if time.Since(begin) < outage {
				return Result{}, passing("UNAVAILABLE")
			}
			return Result{}, nil
		}}
		policy := patient
		policy.Drain = 3
		r := start(t, f, policy)
		taken := func() (n int) {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, data := range f.taken {
				n += len(data)
			}
			return n
		}
		for time.Since(begin) < outage+time.Minute {
			r.put(strings.Repeat("x", size))
			time.Sleep(interval)
		}
		const live = size / 10 // bytes per second
		if got := taken(); got > 60*4*live+RequestSize || got < 60*live {
			t.Errorf("%d bytes were taken in the first minute, want about %d", got, 60*3*live)
		}
		for range 360 {
			r.put(strings.Repeat("x", size))
			time.Sleep(interval)
		}
		equal(t, "queued after another hour", r.queue.Account().Queued(), 0)
		r.drain(time.Second)
	})
}
