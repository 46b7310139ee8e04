package pools

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"golang.org/x/sync/semaphore"

	"github.com/poolgauge/poolgauge/instrument"
)

// permits is the interface that Semaphore and x/sync's semaphore have in common.
type permits interface {
	Acquire(ctx context.Context, n int64) error
	TryAcquire(n int64) bool
	Release(n int64)
}

var _ permits = (*Semaphore)(nil)

func mustSemaphore(t testing.TB, n int64, opts ...instrument.Option) *Semaphore {
	t.Helper()
	s, err := NewSemaphore(t.Name(), n, SemaphoreConfig{}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// semModel is a sequential reference implementation of Semaphore. Its calls never block: a request
// stays in requests, and has ended once it has an outcome.
type semModel struct {
	size, used int64
	requests   []*semRequest
	closed     bool
	tried      [5]int64 // calls to TryAcquire, by outcome
	released   int64
}

type semRequest struct {
	n      int64
	cancel context.CancelFunc
	ended  bool
	err    error
	real   chan error // result of the semaphore under test
}

func (m *semModel) acquire(r *semRequest) {
	m.requests = append(m.requests, r)
	if m.closed {
		r.ended, r.err = true, ErrClosed
	}
	m.serve()
}

func (m *semModel) waiting() (fit []*semRequest) {
	for _, r := range m.requests {
		if !r.ended && r.n <= m.size {
			fit = append(fit, r)
		}
	}
	return fit
}

func (m *semModel) serve() {
	for _, r := range m.waiting() {
		if m.used+r.n > m.size {
			return
		}
		m.used += r.n
		r.ended = true
	}
}

func (m *semModel) try(n int64) bool {
	switch {
	case m.closed:
		m.tried[instrument.WasClosed]++
	case m.used+n > m.size || len(m.waiting()) > 0:
		m.tried[instrument.Rejected]++
	default:
		m.tried[instrument.Acquired]++
		m.used += n
		return true
	}
	return false
}

func (m *semModel) cancel(r *semRequest) {
	r.cancel()
	if !r.ended {
		r.ended, r.err = true, context.Canceled
	}
	m.serve()
}

func (m *semModel) close() {
	m.closed = true
	for _, r := range m.requests {
		if !r.ended {
			r.ended, r.err = true, ErrClosed
		}
	}
}

// check compares the outcomes of p's calls with those of the model. If p is a Semaphore, check also
// compares its Stats.
func (m *semModel) check(p permits) error {
	want := m.tried
	var errs []error
	pending := int64(0)
	for i, r := range m.requests {
		var got error
		ended := true
		select {
		case got = <-r.real:
			r.real <- got
		default:
			ended = false
			pending++
		}
		if ended != r.ended || !errors.Is(got, r.err) || (got == nil) != (r.err == nil) {
			errs = append(
				errs,
				fmt.Errorf(
					"request %d for %d permits: ended %t with %w, want %t with %w",
					i,
					r.n,
					ended,
					got,
					r.ended,
					r.err,
				),
			)
		}
		if r.ended {
			want[outcomeOf(r.err)]++
		}
	}
	s, isSemaphore := p.(*Semaphore)
	if !isSemaphore {
		return errors.Join(errs...)
	}
	st := s.Stats()
	if limit, used := st.Limit.Or(-1), st.Usage[instrument.Used].Or(-1); limit != m.size || used != m.used {
		errs = append(errs, fmt.Errorf("%d permits used of %d, want %d of %d", used, limit, m.used, m.size))
	}
	if got := st.Pending.Or(-1); got != pending {
		errs = append(errs, fmt.Errorf("%d pending, want %d", got, pending))
	}
	if age, ok := st.PendingAge.Get(); ok != (pending > 0) {
		errs = append(errs, fmt.Errorf("pending age %v (set: %t) with %d pending", age, ok, pending))
	}
	if got := st.Completed[instrument.OK].Or(-1); got != m.released {
		errs = append(errs, fmt.Errorf("%d completed, want %d", got, m.released))
	}
	for o, n := range want {
		if got := st.Requests[o].Or(-1); got != n || st.Wait[o].Count() != uint64(n) {
			errs = append(
				errs,
				fmt.Errorf(
					"%d requests and %d waits with outcome %v, want %d",
					got,
					st.Wait[o].Count(),
					instrument.Outcome(o),
					n,
				),
			)
		}
	}
	return errors.Join(errs...)
}

func outcomeOf(err error) instrument.Outcome {
	switch {
	case err == nil:
		return instrument.Acquired
	case errors.Is(err, ErrClosed):
		return instrument.WasClosed
	default:
		return instrument.Canceled
	}
}

// runModel performs the operations that the bytes encode, one after the other, on p and on a model.
// After each operation it waits until all goroutines are blocked, and compares p with the model. It
// must run in a synctest bubble.
func runModel(t *testing.T, p permits, size int64, operations []byte) {
	m := semModel{size: size}
	s, isSemaphore := p.(*Semaphore)
	minPermits := int64(0)
	if !isSemaphore {
		// in x/sync, a request for 0 permits keeps waiting when the request before it gives up,
		// unlike in Semaphore
		minPermits = 1
	}
	for len(operations) >= 2 {
		code, arg := operations[0]%16, int64(operations[1])
		operations = operations[2:]
		what := ""
		switch {
		case code < 6:
			r := &semRequest{n: max(arg%7, minPermits), real: make(chan error, 1)}
			what = fmt.Sprintf("acquire %d", r.n)
			var ctx context.Context
			ctx, r.cancel = context.WithCancel(t.Context())
			go func() { r.real <- p.Acquire(ctx, r.n) }()
			m.acquire(r)
		case code < 10:
			n := min(arg%7, m.used)
			what = fmt.Sprintf("release %d", n)
			p.Release(n)
			m.used -= n
			m.released++
			m.serve()
		case code < 12:
			n := arg % 7
			what = fmt.Sprintf("try %d", n)
			if got, want := p.TryAcquire(n), m.try(n); got != want {
				t.Fatalf("%s: got %t, want %t", what, got, want)
			}
		case code < 14:
			if len(m.requests) > 0 {
				i := int(arg) % len(m.requests)
				what = fmt.Sprintf("cancel request %d", i)
				m.cancel(m.requests[i])
			}
		case code == 14 && isSemaphore:
			what = fmt.Sprintf("resize to %d", arg%9)
			if err := s.Resize(arg % 9); err != nil {
				t.Fatal(err)
			}
			m.size = arg % 9
			m.serve()
		case arg < 16 && isSemaphore:
			what = "close"
			s.Close()
			m.close()
		}
		synctest.Wait()
		if err := m.check(p); err != nil {
			t.Fatalf("after %s: %v", what, err)
		}
	}
	for _, r := range m.requests {
		r.cancel()
	}
	synctest.Wait()
}

func randomOperations(n int) []byte {
	ops := make([]byte, 2*n)
	for i := range ops {
		ops[i] = byte(rand.Uint32())
	}
	return ops
}

// The model itself behaves like x/sync; otherwise it would prove nothing about Semaphore.
func TestSemaphoreModelBehavesAsXSync(t *testing.T) {
	for range 200 {
		ops := randomOperations(60)
		synctest.Test(t, func(t *testing.T) {
			runModel(t, semaphore.NewWeighted(5), 5, ops)
		})
	}
}

func TestSemaphoreAgainstModel(t *testing.T) {
	for range 300 {
		ops := randomOperations(60)
		synctest.Test(t, func(t *testing.T) {
			runModel(t, mustSemaphore(t, 5), 5, ops)
		})
	}
}

func FuzzSemaphore(f *testing.F) {
	f.Add(uint8(5), []byte{0, 5, 0, 6, 0, 1, 6, 5, 14, 8, 12, 1, 15, 0, 0, 1})
	f.Fuzz(func(t *testing.T, size uint8, operations []byte) {
		operations = slices.Clone(operations[:min(len(operations), 400)])
		synctest.Test(t, func(t *testing.T) {
			runModel(t, mustSemaphore(t, int64(size%9)), int64(size%9), operations)
		})
	})
}
