package pools_test

import (
	"bytes"
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

// taskPool is a pool that runs tasks, one after the other.
type taskPool struct {
	kind  string
	run   func(task func())
	stats func() instrument.Stats
	close func()
}

// taskPools opens each pool that runs tasks.
func taskPools(t *testing.T, test func(t *testing.T, open func(opts ...instrument.Option) taskPool)) {
	t.Run("workers", func(t *testing.T) {
		test(t, func(opts ...instrument.Option) taskPool {
			cfg := pools.WorkersConfig{OnPanic: func(*pools.PanicError) {}}
			p, err := pools.NewWorkers("cpu", 1, cfg, opts...)
			if err != nil {
				t.Fatal(err)
			}
			return taskPool{"worker", func(task func()) {
				var done sync.WaitGroup
				done.Add(1)
				err := p.Submit(t.Context(), func(context.Context) error {
					defer done.Done()
					task()
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				done.Wait()
			}, p.Stats, p.Close}
		})
	})
	t.Run("groups", func(t *testing.T) {
		test(t, func(opts ...instrument.Option) taskPool {
			s, err := pools.NewGroups("cpu", opts...)
			if err != nil {
				t.Fatal(err)
			}
			return taskPool{"group", func(task func()) {
				g := s.Group()
				g.Go(func() error { task(); return nil })
				_ = g.Wait()
			}, s.Stats, s.Close}
		})
	})
}

// skipUnmeasured skips the test on a kernel that does not keep the wait for a CPU.
func skipUnmeasured(t *testing.T) {
	t.Helper()
	s := instrument.NewCPUSampler()
	c := s.Next(time.Hour, 1)
	c.Run(func() {})
	s.Add(c)
	if _, known := s.Time()[instrument.OnCPU].Get(); !known {
		t.Skip("the kernel does not keep the wait for a CPU")
	}
}

func TestTasksAreSplit(t *testing.T) {
	skipUnmeasured(t)
	taskPools(t, func(t *testing.T, open func(...instrument.Option) taskPool) {
		synctest.Test(t, func(t *testing.T) {
			p := open()
			defer p.close()
			if _, known := p.stats().CPUTime[instrument.Blocked].Get(); known {
				t.Error("a split before the first task")
			}
			const n = 10 // less than are sampled in this time
			for range n {
				p.run(func() { time.Sleep(time.Second) })
			}
			synctest.Wait()
			s := p.stats()
			var total float64
			for _, v := range s.CPUTime {
				total += v.Or(math.NaN())
			}
			if math.Abs(total-n) > 1e-6 {
				t.Errorf("the states add up to %v s of %d", total, n)
			}
			if blocked := s.CPUTime[instrument.Blocked].Or(0); blocked < 0.9*n {
				t.Errorf("%v s blocked, of %d s of sleep", blocked, n)
			}
		})
	})
}

func TestSplitTasksAreUnlocked(t *testing.T) {
	skipUnmeasured(t)
	ends := map[string]func(){"return": func() {}, "Goexit": runtime.Goexit}
	taskPools(t, func(t *testing.T, open func(...instrument.Option) taskPool) {
		for name, end := range ends {
			t.Run(name, func(t *testing.T) { testUnlocked(t, open, end) })
		}
		if t.Name() == "TestSplitTasksAreUnlocked/workers" { // in a group a panic ends the program
			t.Run("panic", func(t *testing.T) { testUnlocked(t, open, func() { panic("as meant") }) })
		}
	})
}

func testUnlocked(t *testing.T, open func(...instrument.Option) taskPool, end func()) {
	p := open(instrument.WithCPUSamples(1))
	defer p.close()
	var locked atomic.Int64
	const n = 1000
	for range n {
		p.run(func() {
			buf := make([]byte, 200)
			if bytes.Contains(buf[:runtime.Stack(buf, false)], []byte("locked to thread")) {
				locked.Add(1)
			}
			end()
		})
	}
	if l := locked.Load(); l == 0 || l > n/2 {
		t.Errorf("%d of %d short tasks were locked to their thread, want a few", l, n)
	}
	if got := p.stats().CPUTime[instrument.OnCPU].Or(0); got <= 0 {
		t.Errorf("%v s on the CPU", got)
	}
}

func TestSplitIsReported(t *testing.T) {
	skipUnmeasured(t)
	taskPools(t, func(t *testing.T, open func(...instrument.Option) taskPool) {
		t.Run("producer", func(t *testing.T) {
			p := producer.New()
			defer p.Close()
			testReported(t, sdkmetric.NewManualReader(sdkmetric.WithProducer(p)), open)
		})
		t.Run("provider", func(t *testing.T) { testReported(t, sdkmetric.NewManualReader(), open) })
	})
}

func testReported(t *testing.T, reader *sdkmetric.ManualReader, open func(...instrument.Option) taskPool) {
	p := open(instrument.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	defer p.close()
	series := func(s instrument.CPUState) pooltest.Series {
		set := attribute.NewSet(catalog.PoolNameKey.String("cpu"), catalog.PoolKindKey.String(p.kind), catalog.PoolStateKey.String(s.String()))
		return pooltest.Series{Metric: catalog.PoolUseCPUTime.Name, Attributes: set.Equivalent()}
	}
	if _, there := pooltest.Collect(t, reader)[series(instrument.OnCPU)]; there {
		t.Error("reported before the first task")
	}
	for range 3 {
		p.run(func() {}) // the first two are sampled, and the first has been counted when the second has begun
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
