package receive

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// limits are what clients may use.
type limits struct {
	message     int           // bytes of one request, before and after decompression
	inFlight    int64         // bytes of all requests that are being received or accepted; at least one message
	waiting     int64         // requests that wait for a share of inFlight
	patience    time.Duration // for which they wait
	connections int           // of each listener; more wait
	streams     uint32        // concurrent requests of one gRPC connection
	read        time.Duration // for one request in HTTP
}

var defaultLimits = limits{
	message: 4 << 20, inFlight: 16 << 20, waiting: 64, patience: time.Second, connections: 64, streams: 64, read: 20 * time.Second,
}

// memory bounds the bytes of requests in flight. A request reserves what it may become before it is read, and keeps what it is.
type memory struct {
	limits
	bytes   *semaphore.Weighted
	waiters atomic.Int64
}

// reservation is a share of memory. The holder releases it once.
type reservation struct {
	from *memory
	size int64
}

// reserve waits for room for size bytes.
func (m *memory) reserve(ctx context.Context, size int) (reservation, *Refusal) {
	r := reservation{m, int64(size)}
	if m.bytes.TryAcquire(r.size) {
		return r, nil
	}
	defer m.waiters.Add(-1)
	if m.waiters.Add(1) <= m.waiting {
		waiting, cancel := context.WithTimeout(ctx, m.patience)
		defer cancel()
		if m.bytes.Acquire(waiting, r.size) == nil {
			return r, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return reservation{}, &Refusal{Reason: Canceled, Message: err.Error()}
	}
	return reservation{}, &Refusal{
		Reason: Busy, RetryAfter: retryDelay, Message: fmt.Sprintf("requests of %d bytes are in flight", m.inFlight),
	}
}

// shrink gives back what the request did not need.
func (r *reservation) shrink(size int) {
	if n := r.size - int64(size); n > 0 {
		r.from.bytes.Release(n)
		r.size -= n
	}
}

func (r *reservation) release() { r.from.bytes.Release(r.size) }

// rate limits points a second. A request passes when the ones before are paid for, and is paid for afterwards: so one that is larger
// than a second's worth passes too (a bucket of tokens would refuse it for ever), and in the long run the rate is exact.
type rate struct {
	mu     sync.Mutex
	point  time.Duration // that one point takes; 0: no limit
	paidAt time.Time     // when all that passed is paid for
}

// burst is the time for which unused credit is kept.
const burst = time.Second

// take lets points pass and returns 0, or returns how long to wait.
func (r *rate) take(now time.Time, points int64) (wait time.Duration) {
	if r.point == 0 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if wait := r.paidAt.Sub(now); wait > 0 {
		return wait
	}
	if credit := now.Add(-burst); r.paidAt.Before(credit) {
		r.paidAt = credit
	}
	r.paidAt = r.paidAt.Add(time.Duration(points) * r.point)
	return 0
}
