package wrap

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/poolgauge/poolgauge/instrument"
)

// SyncPool is an instrumented [sync.Pool].
type SyncPool struct {
	pool    *sync.Pool
	reg     *instrument.Registration
	hasNew  bool // the pool has a New function
	stripes [stripes]stripe
}

// stripes is the number of counters over which calls are spread, so that CPUs rarely contend for
// the same counter.
const stripes = 16

// stripe counts calls to Get that returned a value, calls to Put and New, and calls to Get that
// returned nil.
type stripe struct {
	gets, puts, news, misses atomic.Int64
	_                        [32]byte // padding to a cache line
}

// NewSyncPool instruments p and reports it under name. p must not be in use yet, because
// NewSyncPool replaces p.New with a function that counts calls. Use the returned SyncPool instead
// of p. It is reported as a pool of the kind sync.Pool, with
//
//   - requests: calls to Get that returned a value (acquired), and calls that returned nil because
//     p has no New function (rejected),
//   - completed: calls to Put,
//   - resources created: calls to New. The rate of these calls divided by the rate of requests is
//     the share of values that were not recycled.
//
// A sync.Pool has no limit, and callers never wait. It does not report how many values it holds,
// nor when the garbage collector drops them. The number of values in use is unknown too, because
// callers need not put values back.
func NewSyncPool(name string, p *sync.Pool, opts ...instrument.Option) (*SyncPool, error) {
	if p == nil {
		return nil, fmt.Errorf("sync.Pool %q: the pool is nil", name)
	}
	r := &SyncPool{pool: p, hasNew: p.New != nil}
	var err error
	if r.reg, err = instrument.Observe(name, "sync.Pool", r.Stats, opts...); err != nil {
		return nil, err
	}
	if create := p.New; create != nil {
		p.New = func() any {
			r.stripe().news.Add(1)
			return create()
		}
	}
	return r, nil
}

// Get is like [sync.Pool.Get].
func (r *SyncPool) Get() any {
	x := r.pool.Get()
	if x == nil {
		r.stripe().misses.Add(1)
	} else {
		r.stripe().gets.Add(1)
	}
	return x
}

// Put is like [sync.Pool.Put].
func (r *SyncPool) Put(x any) {
	r.stripe().puts.Add(1)
	r.pool.Put(x)
}

// stripe returns the stripe for the calling goroutine. It is chosen by the address of the
// goroutine's stack, since goroutines that run at the same time have different stacks.
func (r *SyncPool) stripe() *stripe {
	var here byte
	address := uint64(uintptr(unsafe.Pointer(&here))) >> 11 // a stack has at least 2 KiB
	// Fibonacci hashing: Knuth, The Art of Computer Programming 3, 6.4
	return &r.stripes[address*0x9e3779b97f4a7c15>>60]
}

// Stats returns the counts so far.
func (r *SyncPool) Stats() (st instrument.Stats) {
	var gets, puts, news, misses int64
	for i := range r.stripes {
		s := &r.stripes[i]
		puts += s.puts.Load()
		gets += s.gets.Load()
		news += s.news.Load()
		misses += s.misses.Load()
	}
	st.Requests[instrument.Acquired] = instrument.Some(gets)
	st.Requests[instrument.Rejected] = instrument.Some(misses)
	st.Completed[instrument.OK] = instrument.Some(puts)
	st.Wait[instrument.Acquired] = new(instrument.Histogram)
	st.Wait[instrument.Acquired].RecordN(0, uint64(gets)) // nothing ever waits
	if r.hasNew {
		st.Resources = []instrument.Resources{{Event: instrument.Created, Count: news}}
	}
	return st
}

// Close stops reporting the pool, which keeps working.
func (r *SyncPool) Close() { r.reg.Close() }
