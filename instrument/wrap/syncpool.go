package wrap

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/poolgauge/poolgauge/instrument"
)

// SyncPool is a [sync.Pool] that is reported.
type SyncPool struct {
	pool    *sync.Pool
	reg     *instrument.Registration
	created bool // the pool has New
	stripes [stripes]stripe
}

// stripes is how many counters share the counting, so that CPUs rarely meet at one.
const stripes = 16

type stripe struct {
	gets, puts, news, empty atomic.Int64
	_                       [32]byte // the rest of a cache line
}

// NewSyncPool reports p under a name, as the kind sync.Pool. It must not be in use yet: its New is
// replaced by one that counts too. Use what it returns for p. It reports
//
//   - requests: calls of Get that got something (acquired), and those that got nil since there is
//     no New (rejected),
//   - completed: calls of Put,
//   - resources created: calls of New. Their rate over that of requests is the share that was not
//     recycled.
//
// A sync.Pool has no limit, nothing waits for it, it does not say how much it holds, nor when the
// garbage collector takes it away; and what was got need not be put back, so what is used is not
// known.
func NewSyncPool(name string, p *sync.Pool, opts ...instrument.Option) (*SyncPool, error) {
	if p == nil {
		return nil, fmt.Errorf("sync.Pool %q: nil: want a pool", name)
	}
	r := &SyncPool{pool: p, created: p.New != nil}
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

// Get is [sync.Pool.Get].
func (r *SyncPool) Get() any {
	x := r.pool.Get()
	if x == nil {
		r.stripe().empty.Add(1)
	} else {
		r.stripe().gets.Add(1)
	}
	return x
}

// Put is [sync.Pool.Put].
func (r *SyncPool) Put(x any) {
	r.stripe().puts.Add(1)
	r.pool.Put(x)
}

// stripe returns the stripe of the caller: goroutines that run at the same time have stacks at
// different addresses.
func (r *SyncPool) stripe() *stripe {
	var here byte
	address := uint64(uintptr(unsafe.Pointer(&here))) >> 11 // the smallest stack has 2 KiB
	// Fibonacci hashing: Knuth, The Art of Computer Programming 3, 6.4
	return &r.stripes[address*0x9e3779b97f4a7c15>>60]
}

// Stats returns what happened so far.
func (r *SyncPool) Stats() (st instrument.Stats) {
	var gets, puts, news, empty int64
	for i := range r.stripes {
		s := &r.stripes[i]
		puts += s.puts.Load()
		gets += s.gets.Load()
		news += s.news.Load()
		empty += s.empty.Load()
	}
	st.Requests[instrument.Acquired] = instrument.Some(gets)
	st.Requests[instrument.Rejected] = instrument.Some(empty)
	st.Completed[instrument.OK] = instrument.Some(puts)
	st.Wait[instrument.Acquired] = new(instrument.Histogram)
	st.Wait[instrument.Acquired].RecordN(0, uint64(gets)) // nothing ever waits
	if r.created {
		st.Resources = []instrument.Resources{{Event: instrument.Created, Count: news}}
	}
	return st
}

// Close ends the report. The pool goes on to work.
func (r *SyncPool) Close() { r.reg.Close() }
