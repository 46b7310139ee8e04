package pools_test

import (
	"context"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/pools"
)

// Regression: one use of 20 ms among 20,000 short uses was missing from use.duration in 197 of 200
// pools. If it was sampled, it counted 128 times: 2.69 slot-seconds in 22 ms on one slot. In a
// later version, if the overload ended between bursts, a long use counted for up to 2,400 short
// uses. That depended on the offset of the clock from the sampling intervals, so the test varies
// the offset.
func TestLongUsesInOverloadAreNotMissed(t *testing.T) {
	for offset := time.Duration(0); offset < time.Millisecond; offset += 50 * time.Microsecond {
		synctest.Test(t, func(t *testing.T) { testLongUsesInOverload(t, offset) })
	}
}

func testLongUsesInOverload(t *testing.T, offset time.Duration) {
	time.Sleep(offset)
	p := newWorkers(t, 2, pools.WorkersConfig{})
	overload := func() {
		for range 200 {
			mustSubmit(t, p, noop)
		}
		synctest.Wait()
	}
	for range 10 {
		overload()
	}
	start := time.Now()
	for round := range 50 {
		mustSubmit(t, p, sleep(20*time.Millisecond))
		for range 20 {
			overload()
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		s, passed := p.Stats(), time.Since(start).Seconds()
		want := float64(round+1) * 0.020
		if got := s.Use.Sum(); math.Abs(got-want) > 0.1*want {
			t.Fatalf("offset %v: use.duration has a sum of %v s, want %v", offset, got, want)
		}
		if got := s.UseTime.Or(0); got > 2*passed {
			t.Fatalf("offset %v: use.time is %v s after %v s with 2 workers", offset, got, passed)
		}
	}
	const want = 50 * 0.020
	if got := p.Stats().UseTime.Or(0); math.Abs(got-want) > 0.03*want {
		t.Errorf("offset %v: use.time is %v s, want %v", offset, got, want)
	}
}

// Regression: with 16 busy goroutines and 500 blocked callers, Submit noticed a deadline of 20 ms
// only after 585 ms.
func TestSubmitDeadlineNextToBusyGoroutines(t *testing.T) {
	p := newWorkers(t, 1, pools.WorkersConfig{Queue: 4})
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 500 {
		go func() { _ = p.Submit(ctx, func(context.Context) error { <-release; return nil }) }()
	}
	for p.Stats().Pending.Or(0) < 499 {
		runtime.Gosched()
	}
	for range 16 {
		go func() {
			for ctx.Err() == nil {
				continue
			}
		}()
	}
	limited, stop := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer stop()
	noticed := make(chan time.Time, 1) // when another goroutine noticed the deadline
	go func() {
		<-limited.Done()
		noticed <- time.Now()
	}()
	err := p.Submit(limited, noop)
	late := time.Since(<-noticed)
	if err == nil || late > time.Second { // 5 ms on an idle machine
		t.Errorf(
			"Submit returned %v, %v after another goroutine noticed the deadline; want an error within 1 s",
			err,
			late,
		)
	}
}
