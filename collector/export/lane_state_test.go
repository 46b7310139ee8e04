package export

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
)

func failure(kind Kind, reason string) error {
	return &Failure{Reason: reason, Kind: kind, Err: errors.New("message of " + reason)}
}

// holding is a policy that holds refused requests for five minutes before they are rejected.
var holding = rules{Policy: Policy{Hold: 5 * time.Minute}, timeout: 10 * time.Second}

// A rollout during which refusals seem permanent loses nothing and divides no request. Only a few
// requests are sent during the rollout, and its beginning and end are logged in one line each.
func TestRolloutLosesNothing(t *testing.T) {
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
			equal(t, "state", r.metricsLane().State, Retrying)
			equal(t, "away", r.queue.Account().Lanes[queue.Metrics].Away, true)
			time.Sleep(4 * time.Minute)
			synctest.Wait()
			equal(t, "sent", r.Account().Sent[queue.Metrics], 3000)
			equal(t, "rejected", len(r.Account().Rejected), 0)
			equal(t, "log lines", r.logLines(), 2)
			equal(t, "away", r.queue.Account().Lanes[queue.Metrics].Away, false)
			if len(f.requests) > 40 {
				t.Errorf("%d requests in 4 minutes, want at most 40", len(f.requests))
			}
			r.drain(time.Second)
		})
	}
}

// Items refused for longer than the hold time are lost, one undivided request at a time. They are
// counted, and logged once.
func TestHeldTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		var up atomic.Bool
		f.answer = func(context.Context, otlp.Batch) (Result, error) {
			if up.Load() {
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
		equal(t, "state", r.metricsLane().State, Rejecting)
		equal(t, "available", r.metricsLane().Available, false)
		equal(t, "rejected", r.Account().Rejected[Rejection{queue.Metrics, "401"}], 3000)
		before := len(f.requests)
		for range 60 { // for one more hour
			r.put("x")
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if n := len(f.requests) - before; n > 130 {
			t.Errorf("%d requests in an hour, want at most 130", n)
		}
		equal(t, "log lines", r.logLines(), 2)
		synctest.Wait()
		up.Store(true)
		r.put("good")
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "state", r.metricsLane().State, OK)
		equal(t, "log lines", r.logLines(), 3)
		for _, want := range []string{"message of 401", "permanently rejected", "accepting items again", "lost=36"} {
			if !strings.Contains(r.log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, r.log)
			}
		}
		up.Store(false) // an outage that is too short to lose anything
		r.put("late")
		time.Sleep(time.Minute)
		synctest.Wait()
		up.Store(true)
		r.put("last")
		time.Sleep(time.Minute)
		synctest.Wait()
		if lines := strings.TrimSpace(
			r.log.String(),
		); !strings.Contains(
			lines[strings.LastIndexByte(lines, '\n'):],
			"lost=0",
		) {
			t.Errorf("the last line does not say that nothing was lost:\n%s", lines)
		}
		r.drain(time.Second)
	})
}

// If a server responds to some batches with an error, as Prometheus does to samples that are too
// old, those batches are lost after the hold time, and no others.
func TestServerErrorOfOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(_ context.Context, b otlp.Batch) (Result, error) {
			if strings.Contains(string(b.Data), "OLD") {
				return Result{}, failure(Split, "500")
			}
			return Result{}, nil
		}}
		r := startJoinedWith(t, f, holding, "a", "OLD", "b", "c")
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		equal(t, "sent", r.Account().Sent[queue.Metrics], 40)
		equal(t, "rejected", r.Account().Rejected[Rejection{queue.Metrics, "500"}], 10)
		r.drain(time.Second)
	})
}

// If the cause of an outage changes, the new cause is logged too.
func TestCauseOfOutageChanges(t *testing.T) {
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
		equal(t, "log lines", r.logLines(), 2)
		if !strings.Contains(r.log.String(), "certificate has expired") ||
			!strings.Contains(r.Ready().Error(), "certificate has expired") {
			t.Errorf("the new cause is missing in the log or in Ready:\n%s\n%v", r.log, r.Ready())
		}
		r.drain(0)
	})
}

// A lane whose requests are refused or hang does not affect the others.
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
				good, own := &fake{answer: accept}, &fake{answer: accept}
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
					t.Errorf(
						"account %+v, want 100 batches each of metrics and own sent, and only traces unavailable",
						a,
					)
				}
				if n := strings.Count(r.log.String(), "lane=traces"); n != 1 || n != r.logLines() {
					t.Errorf("%d lines in the log, want one, about traces:\n%s", r.logLines(), r.log)
				}
				r.drain(0)
			})
		})
	}
}

// A backlog is sent, without bursts, at a multiple of the rate at which it grew or of the lane's
// current incoming rate, whichever is higher.
func TestPace(t *testing.T) {
	p, now := NewPace(3), time.Unix(1000, 0)
	const grew = 40 << 10 // bytes per second, for an hour
	p.Look(0, 3600*grew, now.Add(-time.Hour), now)
	equal(t, "share", p.Share(), int64(3*grew*2))
	equal(t, "wait of the first request", p.Backlog(3*grew, now), 0)
	equal(t, "wait of the next request", p.Backlog(3*grew, now), time.Second)
	equal(t, "wait of a request after a second", p.Backlog(1, now.Add(time.Second)), time.Second)

	now = now.Add(paceWindow)
	p.Look(int64(100<<10*paceWindow.Seconds()), 100, now.Add(-time.Hour), now)
	equal(t, "share at a higher live rate", p.Share(), int64(2*3*100<<10))
	p = NewPace(3)
	p.Look(0, 1, now.Add(-time.Hour), now)
	equal(t, "minimum share", p.Share(), minShare)
	equal(t, "wait of the first request at the minimum pace", p.Backlog(minPace, now), 0)
	equal(t, "wait of the next request at the minimum pace", p.Backlog(1, now), time.Second)

	p = NewPace(0)
	equal(t, "share without a limit", p.Share(), RequestSize)
	_ = p.Backlog(RequestSize, now)
	equal(t, "wait without a limit", p.Backlog(RequestSize, now), 0)
}

// After an outage the backlog is sent no faster than the configured multiple of the live rate. Once
// the backlog has been sent, later batches are not delayed.
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
		accepted := func() (n int) {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, data := range f.accepted {
				n += len(data)
			}
			return n
		}
		for time.Since(begin) < outage+time.Minute {
			r.put(strings.Repeat("x", size))
			time.Sleep(interval)
		}
		const live = size / 10 // bytes per second
		if got := accepted(); got > 60*4*live+RequestSize || got < 60*live {
			t.Errorf("%d bytes were accepted in the first minute after the outage, want about %d", got, 60*3*live)
		}
		for range 360 {
			r.put(strings.Repeat("x", size))
			time.Sleep(interval)
		}
		equal(t, "queued after another hour", r.queue.Account().Queued(), 0)
		r.drain(time.Second)
	})
}
