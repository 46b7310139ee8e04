package main

import (
	"context"
	"runtime"
	"time"

	"github.com/jackc/puddle/v2"
	commons "github.com/jolestar/go-commons-pool/v2"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// resource is what the pools hold: what an idle connection costs does not matter here.
type resource struct{ used int }

func newResource(context.Context) (*resource, error) { return new(resource), nil }

// lender is a pool of resources: use borrows one, calls between, which may be nil, and gives it back.
type lender interface {
	use(ctx context.Context, between func())
}

// resources returns every pool of a size, which starts full, as a subject that does what use does.
func resources(size int, use func(p lender, n int)) []harness.Subject {
	peer := func(name string, open func() (lender, func())) harness.Subject {
		return harness.Subject{Name: name, New: func() (func(int), func()) {
			p, stop := open()
			return func(n int) { use(p, n) }, stop
		}}
	}
	return []harness.Subject{
		ourResources("poolgauge", size, use),
		peer("puddle", func() (lender, func()) { return openPuddle(size) }),
		peer("channel", func() (lender, func()) { return openChannel(size), nil }),
		peer("go-commons-pool", func() (lender, func()) { return openCommons(size) }),
		ourResources("telemetry off", size, use, instrument.WithoutTelemetry()),
		ourResources("exact", size, use, instrument.WithExactTiming()),
	}
}

func ourResources(name string, size int, use func(p lender, n int), opts ...instrument.Option) harness.Subject {
	return harness.Subject{Name: name, New: func() (func(int), func()) {
		p, stop := openOurs(size, opts...)
		return func(n int) { use(p, n) }, stop
	}}
}

type ours struct{ *pools.Resources[*resource] }

func openOurs(size int, opts ...instrument.Option) (lender, func()) {
	p, err := pools.NewResources("benchmark", size, newResource, pools.ResourcesConfig[*resource]{}, opts...)
	if err != nil {
		panic(err)
	}
	for range size {
		if err := p.CreateResource(context.Background()); err != nil {
			panic(err)
		}
	}
	return ours{p}, p.Close
}

func (p ours) use(ctx context.Context, between func()) {
	lease, err := p.Acquire(ctx)
	if err != nil {
		panic(err)
	}
	lease.Value().used++
	if between != nil {
		between()
	}
	lease.Release()
}

type puddles struct{ *puddle.Pool[*resource] }

func openPuddle(size int) (lender, func()) {
	p, err := puddle.NewPool(&puddle.Config[*resource]{
		Constructor: newResource,
		Destructor:  func(*resource) {},
		MaxSize:     int32(size),
	})
	if err != nil {
		panic(err)
	}
	for range size {
		if err := p.CreateResource(context.Background()); err != nil {
			panic(err)
		}
	}
	return puddles{p}, p.Close
}

func (p puddles) use(ctx context.Context, between func()) {
	r, err := p.Acquire(ctx)
	if err != nil {
		panic(err)
	}
	r.Value().used++
	if between != nil {
		between()
	}
	r.Release()
}

// channelPool is what Go itself offers.
type channelPool chan *resource

func openChannel(size int) channelPool {
	p := make(channelPool, size)
	for range size {
		p <- new(resource)
	}
	return p
}

func (p channelPool) use(ctx context.Context, between func()) {
	var r *resource
	select {
	case r = <-p:
	case <-ctx.Done():
		panic(ctx.Err())
	}
	r.used++
	if between != nil {
		between()
	}
	p <- r
}

type commonsPool struct{ *commons.ObjectPool }

func openCommons(size int) (lender, func()) {
	ctx := context.Background()
	construct := func(context.Context) (any, error) { return new(resource), nil }
	config := commons.NewDefaultPoolConfig()
	config.MaxTotal, config.MaxIdle = size, size
	p := commons.NewObjectPool(ctx, commons.NewPooledObjectFactorySimple(construct), config)
	for range size {
		if err := p.AddObject(ctx); err != nil {
			panic(err)
		}
	}
	return commonsPool{p}, func() { p.Close(ctx) }
}

func (p commonsPool) use(ctx context.Context, between func()) {
	r, err := p.BorrowObject(ctx)
	if err != nil {
		panic(err)
	}
	r.(*resource).used++
	if between != nil {
		between()
	}
	if err := p.ReturnObject(ctx, r); err != nil {
		panic(err)
	}
}

// lend returns a loop of uses.
func lend(ctx context.Context, between func()) func(lender, int) {
	return func(p lender, n int) {
		for range n {
			p.use(ctx, between)
		}
	}
}

// crowd makes 64 goroutines share the uses.
func crowd(use func(lender, int)) func(lender, int) {
	return func(p lender, n int) {
		harness.Parallel(64, n, func(n int) { use(p, n) })
	}
}

func resourcesCases() []harness.Case {
	ctx := context.Background()
	cancelable, cancel := context.WithCancel(ctx)
	_ = cancel // the context is used as long as the program runs
	plain, block := lend(ctx, nil), lend(ctx, runtime.Gosched)
	below := func(ratio float64) harness.Bar { return harness.Bar{Peer: "puddle", Ratio: ratio} }
	telemetry := harness.Bar{Peer: "telemetry off", Ratio: 1, Plus: 10 * time.Nanosecond}
	return []harness.Case{
		{Name: "resources alone", Subjects: resources(16, plain), Bars: []harness.Bar{below(0.35), telemetry}, NoAlloc: true},
		{
			Name:     "resources alone, context with cancel",
			Subjects: resources(16, lend(cancelable, nil)), Bars: []harness.Bar{below(0.35), telemetry}, NoAlloc: true,
		},
		{Name: "resources, 64 goroutines on 2", Subjects: resources(2, crowd(plain)), Bars: []harness.Bar{below(0.3)}, Procs: []int{1, 2, 0}},
		{
			Name:     "resources, 64 goroutines on 2, forced to block",
			Subjects: resources(2, crowd(block)), Bars: []harness.Bar{below(0.9)}, Procs: []int{1, 2, 0}, NoAlloc: true,
		},
		telemetryOfWaits("resources, 64 goroutines on 2, forced to block, telemetry",
			ourResources("poolgauge", 2, crowd(block)),
			ourResources("telemetry off", 2, crowd(block), instrument.WithoutTelemetry()),
		),
		{
			Name:     "resources, 64 goroutines on 2, forced to block, context with cancel",
			Subjects: resources(2, crowd(lend(cancelable, runtime.Gosched))), Bars: []harness.Bar{below(0.9)},
		},
		{Name: "resources, 64 goroutines on 64", Subjects: resources(64, crowd(plain)), Procs: []int{1, 2, 0}},
	}
}
