package export

import (
	"context"
	"math/rand/v2"
	"time"
)

// closingBackoff is the maximum wait once the exporter is closing, unless the upstream asked for a
// longer one. It is short because a pod's grace period is short.
const closingBackoff = 100 * time.Millisecond

// Backoff computes the waits between attempts to send one request. It is not safe for concurrent
// use.
type Backoff struct {
	min, max, ceiling time.Duration
}

// NewBackoff returns a Backoff for the given policy.
func NewBackoff(p Policy) *Backoff {
	p = p.withDefaults()
	return &Backoff{min: p.LeastBackoff, max: p.LongestBackoff, ceiling: p.LeastBackoff}
}

// Next returns the next wait. asked is the wait that the upstream requested, or 0. If it requested
// one, the result is at least that wait plus random jitter, since many clients may have been told
// to wait for the same time.
func (b *Backoff) Next(asked time.Duration) time.Duration {
	b.ceiling = min(2*b.ceiling, max(b.max, b.min))
	wait := b.min + upTo(b.ceiling-b.min)
	if asked > 0 {
		wait = max(wait, asked+upTo(b.min))
	}
	return wait
}

// upTo returns a random duration from 0 to d.
func upTo(d time.Duration) time.Duration { return rand.N(d + 1) } //nolint:gosec // needs no secure random numbers

// wait waits for d, or until another lane finds that the upstream is accepting again. Once the
// exporter is closing, the wait is short, but never shorter than asked, the wait that the upstream
// requested.
func (s *sender) wait(d, asked time.Duration) {
	if s.closing.Err() != nil {
		sleep(s.abort, min(d, max(asked, closingBackoff)), s.recovered)
		return
	}
	start := time.Now()
	if !sleep(s.closing, d, s.recovered) {
		sleep(s.abort, asked-time.Since(start), s.recovered)
	}
}

// sleep waits for d or until wake is closed. If ctx is done first, sleep returns false immediately.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-wake:
		return true
	case <-ctx.Done():
		return false
	}
}
