package pools_test

import (
	"bytes"
	"context"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/internal/thread"
	"github.com/poolgauge/poolgauge/pools"
)

// skipUnmeasured skips the test if the kernel does not record run-queue delay.
func skipUnmeasured(t *testing.T) {
	t.Helper()
	var m thread.Meter
	m.Start()
	if _, known := m.Stop(); !known {
		t.Skip("the kernel does not account the wait for a CPU")
	}
}

// runOne runs a task and waits for it to end.
func runOne(t *testing.T, p *pools.Workers, task func()) {
	t.Helper()
	var done sync.WaitGroup
	done.Add(1)
	mustSubmit(t, p, func(context.Context) error {
		defer done.Done()
		task()
		return nil
	})
	done.Wait()
}

func cpuSeconds(s instrument.Stats) (total float64) {
	for _, v := range s.CPUTime {
		total += v.Or(math.NaN())
	}
	return total
}

// The CPU times add up to UseTime even when the mix of tasks changes. They once added up to 1.1 to
// 2.9 times as much.
func TestCPUSecondsAddUpToUseTime(t *testing.T) {
	skipUnmeasured(t)
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		for _, long := range []time.Duration{time.Millisecond, 5 * time.Millisecond, 2 * time.Millisecond, 9 * time.Millisecond} {
			for range 2000 {
				runOne(t, p, func() { time.Sleep(long) })
			}
			synctest.Wait()
			s := p.Stats()
			if total, used := cpuSeconds(s), s.UseTime.Or(0); !(math.Abs(total-used) <= 1e-6*used) {
				t.Errorf("after tasks of %v the states add up to %v s of %v s used", long, total, used)
			}
			if blocked := s.CPUTime[instrument.Blocked].Or(0); blocked <= 0 {
				t.Errorf("%v s blocked, of %v s of sleep", blocked, s.UseTime.Or(0))
			}
		}
	})
}

func isLocked() bool {
	buf := make([]byte, 200)
	return bytes.Contains(buf[:runtime.Stack(buf, false)], []byte("locked to thread"))
}

// A pool's first tasks are not locked to threads. When they were, two tasks that communicated over
// a channel took 15.7 µs per item.
func TestTheFirstTasksAreNotLockedToThreads(t *testing.T) {
	for range 20 {
		p, err := pools.NewWorkers(t.Name(), 1, pools.WorkersConfig{}, instrument.WithExactTiming())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			runOne(t, p, func() {
				if isLocked() {
					t.Errorf("task %d is locked to its thread", i)
				}
			})
		}
		p.Close()
	}
}

func TestLongTasksAreNotLockedToThreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		for range 500 {
			runOne(t, p, func() {
				time.Sleep(10 * time.Millisecond)
				if isLocked() {
					t.Error("a task of a pool with long ones is locked to its thread")
				}
			})
		}
	})
}

func TestSplitTasksAreUnlocked(t *testing.T) {
	skipUnmeasured(t)
	for name, end := range map[string]func(){"return": func() {}, "Goexit": runtime.Goexit, "panic": func() { panic("as meant") }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newWorkers(
					t,
					1,
					pools.WorkersConfig{OnPanic: func(*pools.PanicError) {}},
					instrument.WithCPUSamples(1),
				)
				locked := 0
				const n = 5000
				for range n {
					runOne(t, p, func() {
						time.Sleep(time.Millisecond)
						if isLocked() {
							locked++
						}
						end()
					})
				}
				if locked == 0 || locked > 10 {
					t.Errorf("%d of %d tasks were locked to their thread in 5 s, want one a second", locked, n)
				}
			})
		})
	}
}

func TestSplitIsReported(t *testing.T) {
	skipUnmeasured(t)
	t.Run("producer", func(t *testing.T) {
		p := producer.New()
		defer p.Close()
		testReported(t, sdkmetric.NewManualReader(sdkmetric.WithProducer(p)))
	})
	t.Run("provider", func(t *testing.T) { testReported(t, sdkmetric.NewManualReader()) })
}

func testReported(t *testing.T, reader *sdkmetric.ManualReader) {
	p := newWorkers(t, 1, pools.WorkersConfig{}, instrument.WithExactTiming(),
		instrument.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	series := func(s instrument.CPUState) pooltest.Series {
		set := attribute.NewSet(
			catalog.PoolNameKey.String(t.Name()),
			catalog.PoolKindKey.String("worker"),
			catalog.PoolStateKey.String(s.String()),
		)
		return pooltest.Series{Metric: catalog.PoolUseCPUTime.Name, Attributes: set.Equivalent()}
	}
	if _, there := pooltest.Collect(t, reader)[series(instrument.OnCPU)]; there {
		t.Error("reported before the first task")
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		runOne(t, p, func() {})
		if _, sampled := p.Stats().CPUTime[instrument.OnCPU].Get(); sampled {
			break
		}
	}
	got := pooltest.Collect(t, reader)
	for _, state := range []instrument.CPUState{instrument.OnCPU, instrument.RunQueue, instrument.Blocked} {
		if _, there := got[series(state)]; !there {
			t.Errorf("%v is not reported", state)
		}
	}
	if got[series(instrument.OnCPU)] <= 0 {
		t.Errorf("%v s on the CPU", got[series(instrument.OnCPU)])
	}
}
