package peers

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// Permits is the common interface of the semaphores.
type Permits interface {
	Acquire(ctx context.Context, n int64) error
	TryAcquire(n int64) bool
	Release(n int64)
}

// XSync creates the semaphore of golang.org/x/sync.
func XSync(size int64) Permits { return semaphore.NewWeighted(size) }

// ChannelPermits creates a semaphore without weights from a buffered channel, as programs that use
// no library write it.
func ChannelPermits(size int64) Permits { return make(channelPermits, size) }

type channelPermits chan struct{}

// Acquire implements [Permits].
func (c channelPermits) Acquire(ctx context.Context, _ int64) error {
	select {
	case c <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryAcquire implements [Permits].
func (c channelPermits) TryAcquire(int64) bool {
	select {
	case c <- struct{}{}:
		return true
	default:
		return false
	}
}

// Release implements [Permits].
func (c channelPermits) Release(int64) { <-c }
