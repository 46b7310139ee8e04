package bench

import (
	"context"
	"runtime/metrics"
	"slices"
	"sync/atomic"
	"time"
)

// run is one measurement of a model.
type run struct {
	rate     float64 // tasks per second
	p50, p99 time.Duration
	cpu      time.Duration // per task
	cpus     float64       // used on average
	cpuKnown bool
	allocs   float64 // per task
	memory   uint64  // peak growth of heap and stacks, in bytes
}

// measure runs n tasks with the model m. A task's latency does not include the time that it waits
// to be started.
func measure(ctx context.Context, m Model, n int, t task) (run, error) {
	latency := make([]time.Duration, n)
	var next atomic.Int64
	timed := func(ctx context.Context) error {
		start := time.Now()
		err := t(ctx)
		latency[next.Add(1)-1] = time.Since(start)
		return err
	}
	peak := watchMemory()
	allocs, start := allocatedObjects(), time.Now()
	cpu, known := cpuTime()
	err := m.run(ctx, n, timed)
	took := time.Since(start)
	after, _ := cpuTime()
	r := run{rate: float64(n) / took.Seconds(), cpuKnown: known}
	r.allocs = float64(allocatedObjects()-allocs) / float64(n)
	r.cpu = (after - cpu) / time.Duration(n)
	r.cpus = (after - cpu).Seconds() / took.Seconds()
	r.memory = peak()
	if err != nil {
		return run{}, err
	}
	slices.Sort(latency)
	r.p50, r.p99 = latency[n/2], latency[min(n-1, n*99/100)]
	return r, nil
}

func allocatedObjects() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// memoryInUse returns the bytes that the heap's objects and the stacks use.
func memoryInUse() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() + s[1].Value.Uint64()
}

// watchMemory samples the memory in use every 5 ms. The returned function stops the sampling and
// returns the peak growth in bytes.
func watchMemory() (peak func() uint64) {
	base := memoryInUse()
	highest := base
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				highest = max(highest, memoryInUse())
				return
			case <-tick.C:
				highest = max(highest, memoryInUse())
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-stopped
		return highest - base
	}
}
