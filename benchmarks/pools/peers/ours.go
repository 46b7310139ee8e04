package peers

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/pools"
)

// All calls with which the benchmarks create our pools are in this file.

// OurOrder is the order in which our pools serve waiting requests, as the counts of overtaken
// requests show.
const OurOrder = "strict FIFO"

// created counts pools. Each pool's name contains its number, so that no two have the same name.
var created atomic.Int64

func name() string { return fmt.Sprintf("benchmark-%d", created.Add(1)) }

// Semaphore creates our semaphore.
func Semaphore(size int64, opts ...instrument.Option) *pools.Semaphore {
	s, err := pools.NewSemaphore(name(), size, pools.SemaphoreConfig{}, opts...)
	must(err)
	return s
}

// Resources creates our pool of resources, without any resources yet.
func Resources(limit int, opts ...instrument.Option) *pools.Resources[*Resource] {
	p, err := pools.NewResources(name(), limit, NewResource, pools.ResourcesConfig[*Resource]{}, opts...)
	must(err)
	return p
}

// OurWorkers creates our worker pool. If queue is 0, the queue has the default size.
func OurWorkers(n, queue int, opts ...instrument.Option) *pools.Workers {
	p, err := pools.NewWorkers(name(), n, pools.WorkersConfig{Queue: queue}, opts...)
	must(err)
	return p
}

// OurGroups returns a pools.Groups with a unique name.
func OurGroups(opts ...instrument.Option) *pools.Groups {
	g, err := pools.NewGroups(name(), opts...)
	must(err)
	return g
}

// MemoryBudget creates our memory budget for tasks that need at most task bytes. The available
// memory is constant.
func MemoryBudget(task, available int64, opts ...instrument.Option) *pools.MemoryBudget {
	b, err := pools.NewMemoryBudget(name(), task, pools.MemoryConfig{
		Available: func() (int64, bool) { return available, true },
	}, opts...)
	must(err)
	return b
}

// Producer opens a Producer, as a program that reports metrics would. collect reads all pools, and
// stop closes the Producer.
func Producer() (collect, stop func()) {
	p := producer.New()
	return func() {
		_, err := p.Produce(context.Background())
		must(err)
	}, p.Close
}

// ForEach runs fn for all items on our workers.
func ForEach(p *pools.Workers, items iter.Seq[int], fn func(int)) {
	must(pools.ForEach(context.Background(), p, items, func(_ context.Context, i int) error {
		fn(i)
		return nil
	}))
}

// Map runs fn for all items on our workers and calls yield with the results.
func Map(p *pools.Workers, items iter.Seq[int], fn func(int) int, yield func(int)) {
	ours := func(_ context.Context, i int) (int, error) { return fn(i), nil }
	for v, err := range pools.Map(context.Background(), p, items, ours) {
		must(err)
		yield(v)
	}
}
