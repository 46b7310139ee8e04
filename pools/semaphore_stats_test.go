package pools

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func TestSemaphoreTelemetrySettings(t *testing.T) {
	pooltest.Settings(t, "semaphore", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		s, err := NewSemaphore(name, 2, SemaphoreConfig{}, opts...)
		if err != nil {
			return pooltest.Pool{}, err
		}
		return pooltest.Pool{Close: s.Close, Use: func() {
			_ = s.Acquire(context.Background(), 1)
			s.Release(1)
		}}, nil
	})
}

func TestSemaphoreWithoutTelemetry(t *testing.T) {
	s := mustSemaphore(t, 1, instrument.WithoutTelemetry())
	if s.word.Load()&semCredits == 0 {
		t.Error("no credits are lent, so calls do not take the fast path")
	}
	for range 1000 {
		_ = s.Acquire(context.Background(), 1)
		s.Release(1)
	}
	st := s.Stats()
	if n := st.Requests[instrument.Acquired].Or(0); n != 1000 {
		t.Errorf("%d acquired, want 1000", n)
	}
	if _, timed := st.UseTime.Get(); timed || st.Wait[instrument.Acquired] != nil {
		t.Error("without telemetry, times are reported")
	}
}

func TestSemaphoreInvariantsUnderLoad(t *testing.T) {
	s := mustSemaphore(t, 4)
	const goroutines, each = 16, 5000
	var in pooltest.Invariants
	st := in.HoldUnder(t, s.Stats, func() {
		var wg sync.WaitGroup
		for i := range goroutines {
			wg.Go(func() {
				for range each {
					_ = s.Acquire(context.Background(), 1)
					if i%2 == 0 {
						runtime.Gosched()
					}
					s.Release(1)
					if s.TryAcquire(1) {
						s.Release(1)
					}
				}
			})
		}
		wg.Wait()
	})
	calls := st.Requests[instrument.Acquired].Or(0) + st.Requests[instrument.Rejected].Or(0)
	if calls != 2*goroutines*each {
		t.Errorf("%d calls counted, want %d", calls, 2*goroutines*each)
	}
}
