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

// skipWithoutRunQueueDelay skips the test if the kernel does not record run-queue delay.
func skipWithoutRunQueueDelay(t *testing.T) {
	t.Helper()
	var m thread.Meter
	m.Start()
	if _, known := m.Stop(); !known {
		t.Skip("the kernel does not record run-queue delay")
	}
}

// runOne runs a task, and waits until it has ended.
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

// Regression: after the mix of tasks changed, the CPU seconds added up to 1.1 to 2.9 times
// use.time.
func TestCPUSecondsAddUpToUseTime(t *testing.T) {
	skipWithoutRunQueueDelay(t)
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 1, pools.WorkersConfig{})
		for _, taskTime := range []time.Duration{time.Millisecond, 5 * time.Millisecond, 2 * time.Millisecond, 9 * time.Millisecond} {
			for range 2000 {
				runOne(t, p, func() { time.Sleep(taskTime) })
			}
			synctest.Wait()
			s := p.Stats()
			if total, used := cpuSeconds(s), s.UseTime.Or(0); !(math.Abs(total-used) <= 1e-6*used) {
				t.Errorf("after tasks of %v: CPU times add up to %v s, want the use time, %v s", taskTime, total, used)
			}
			if blocked := s.CPUTime[instrument.Blocked].Or(0); blocked <= 0 {
				t.Errorf("blocked for %v s, want more than 0: tasks slept for %v s", blocked, s.UseTime.Or(0))
			}
		}
	})
}

func isLockedToThread() bool {
	buf := make([]byte, 200)
	return bytes.Contains(buf[:runtime.Stack(buf, false)], []byte("locked to thread"))
}

// Regression: two tasks that communicated over a channel took 15.7 µs per item, because the first
// tasks were locked to threads.
func TestFirstTasksAreNotLockedToThreads(t *testing.T) {
	for range 20 {
		p, err := pools.NewWorkers(t.Name(), 1, pools.WorkersConfig{}, instrument.WithExactTiming())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			runOne(t, p, func() {
				if isLockedToThread() {
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
				if isLockedToThread() {
					t.Error("a task of a pool with long tasks is locked to its thread")
				}
			})
		}
	})
}

func TestSampledTasksAreUnlocked(t *testing.T) {
	skipWithoutRunQueueDelay(t)
	for name, end := range map[string]func(){"return": func() {}, "Goexit": runtime.Goexit, "panic": func() { panic("test") }} {
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
						if isLockedToThread() {
							locked++
						}
						end()
					})
				}
				if locked == 0 || locked > 10 {
					t.Errorf("%d of %d tasks were locked to their threads in 5 s, want about one per second", locked, n)
				}
			})
		})
	}
}

func TestCPUTimeIsReported(t *testing.T) {
	skipWithoutRunQueueDelay(t)
	t.Run("producer", func(t *testing.T) {
		p := producer.New()
		defer p.Close()
		testCPUTimeIsReported(t, sdkmetric.NewManualReader(sdkmetric.WithProducer(p)))
	})
	t.Run("provider", func(t *testing.T) { testCPUTimeIsReported(t, sdkmetric.NewManualReader()) })
}

func testCPUTimeIsReported(t *testing.T, reader *sdkmetric.ManualReader) {
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
	if _, ok := pooltest.Collect(t, reader)[series(instrument.OnCPU)]; ok {
		t.Error("CPU time is reported before the first task")
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		runOne(t, p, func() {})
		if _, sampled := p.Stats().CPUTime[instrument.OnCPU].Get(); sampled {
			break
		}
	}
	got := pooltest.Collect(t, reader)
	for _, state := range []instrument.CPUState{instrument.OnCPU, instrument.RunQueue, instrument.Blocked} {
		if _, ok := got[series(state)]; !ok {
			t.Errorf("CPU time in state %v is not reported", state)
		}
	}
	if got[series(instrument.OnCPU)] <= 0 {
		t.Errorf("%v s on the CPU, want more than 0", got[series(instrument.OnCPU)])
	}
}
