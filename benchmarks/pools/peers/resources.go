package peers

import (
	"context"

	"github.com/jackc/puddle/v2"
	commons "github.com/jolestar/go-commons-pool/v2"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

// Resource is what the pools lend. It is cheap to create, since the cost of a real connection does
// not matter here.
type Resource struct{ used int }

// NewResource creates a resource.
func NewResource(context.Context) (*Resource, error) { return new(Resource), nil }

// Lender is a pool of resources.
type Lender interface {
	// Use borrows a resource, calls the function between unless that is nil, and returns the
	// resource.
	Use(ctx context.Context, between func())
	// Borrow borrows a resource. giveBack returns it.
	Borrow(ctx context.Context) (giveBack func(), err error)
	// Fill creates all resources.
	Fill()
	Close()
}

// OurLender creates our pool of resources.
func OurLender(size int, opts ...instrument.Option) Lender {
	return ours{Resources(size, opts...), size}
}

type ours struct {
	*pools.Resources[*Resource]
	size int
}

// Fill implements [Lender].
func (p ours) Fill() {
	for range p.size {
		must(p.CreateResource(context.Background()))
	}
}

// Use implements [Lender].
func (p ours) Use(ctx context.Context, between func()) {
	lease, err := p.Acquire(ctx)
	must(err)
	lease.Value().used++
	if between != nil {
		between()
	}
	lease.Release()
}

// Borrow implements [Lender].
func (p ours) Borrow(ctx context.Context) (func(), error) {
	lease, err := p.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return lease.Release, nil
}

type puddles struct {
	*puddle.Pool[*Resource]
	size int
}

// Puddle returns a jackc/puddle pool of the given size.
func Puddle(size int) Lender {
	p, err := puddle.NewPool(&puddle.Config[*Resource]{
		Constructor: NewResource,
		Destructor:  func(*Resource) {},
		MaxSize:     int32(size),
	})
	must(err)
	return puddles{p, size}
}

// Fill implements [Lender].
func (p puddles) Fill() {
	for range p.size {
		must(p.CreateResource(context.Background()))
	}
}

// Use implements [Lender].
func (p puddles) Use(ctx context.Context, between func()) {
	r, err := p.Acquire(ctx)
	must(err)
	r.Value().used++
	if between != nil {
		between()
	}
	r.Release()
}

// Borrow implements [Lender].
func (p puddles) Borrow(ctx context.Context) (func(), error) {
	r, err := p.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return r.Release, nil
}

// channelPool is a pool built on a buffered channel, as programs without a pool library build it.
type channelPool chan *Resource

// ChannelPool creates a pool from a buffered channel.
func ChannelPool(size int) Lender { return make(channelPool, size) }

// Fill implements [Lender].
func (p channelPool) Fill() {
	for range cap(p) {
		p <- new(Resource)
	}
}

// Close implements [Lender].
func (p channelPool) Close() {}

// Use implements [Lender].
func (p channelPool) Use(ctx context.Context, between func()) {
	var r *Resource
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

// Borrow implements [Lender].
func (p channelPool) Borrow(ctx context.Context) (func(), error) {
	select {
	case r := <-p:
		return func() { p <- r }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type commonsPool struct {
	*commons.ObjectPool
	size int
}

// CommonsPool creates the pool of jolestar/go-commons-pool.
func CommonsPool(size int) Lender {
	construct := func(context.Context) (any, error) { return new(Resource), nil }
	config := commons.NewDefaultPoolConfig()
	config.MaxTotal, config.MaxIdle = size, size
	return commonsPool{
		commons.NewObjectPool(context.Background(), commons.NewPooledObjectFactorySimple(construct), config),
		size,
	}
}

// Fill implements [Lender].
func (p commonsPool) Fill() {
	for range p.size {
		must(p.AddObject(context.Background()))
	}
}

// Close implements [Lender].
func (p commonsPool) Close() { p.ObjectPool.Close(context.Background()) }

// Use implements [Lender].
func (p commonsPool) Use(ctx context.Context, between func()) {
	r, err := p.BorrowObject(ctx)
	must(err)
	r.(*Resource).used++
	if between != nil {
		between()
	}
	must(p.ReturnObject(ctx, r))
}

// Borrow implements [Lender].
func (p commonsPool) Borrow(ctx context.Context) (func(), error) {
	r, err := p.BorrowObject(ctx)
	if err != nil {
		return nil, err
	}
	return func() { must(p.ReturnObject(ctx, r)) }, nil
}
