package receive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// intake is the way of a request from whatever transport.
type intake struct {
	gate    *gate
	accept  func(context.Context, otlp.Batch) error
	refused func(otlp.Signal, int64, string)
}

// refusal is why a request was not accepted, as each transport says it.
type refusal struct {
	reason string // of Config.Refused
	code   codes.Code
	http   int
	after  time.Duration // when to try again; 0: never
	err    error
}

// take counts the points of a request and hands it on; nil if it was accepted. The request is the intake's from now on.
func (in *intake) take(ctx context.Context, signal otlp.Signal, request []byte) *refusal {
	points, err := otlp.Inspect(signal, request)
	if err != nil {
		return in.refuse(signal, 0, malformed(err))
	}
	if points == 0 {
		return nil
	}
	if wait := in.gate.pace(points); wait > 0 {
		return in.refuse(signal, points, &refusal{
			"rate", codes.ResourceExhausted, http.StatusTooManyRequests, wait, errors.New("more points a second than --relay-rate"),
		})
	}
	err = in.accept(ctx, otlp.Batch{Signal: signal, Points: points, Data: request})
	if err == nil {
		return nil
	}
	var permanent *PermanentError
	if errors.As(err, &permanent) {
		return in.refuse(signal, points, &refusal{"too_large", codes.InvalidArgument, http.StatusRequestEntityTooLarge, 0, err})
	}
	return in.refuse(signal, points, &refusal{"unavailable", codes.Unavailable, http.StatusServiceUnavailable, time.Second, err})
}

func (in *intake) refuse(signal otlp.Signal, points int64, r *refusal) *refusal {
	in.refused(signal, points, r.reason)
	return r
}

func malformed(err error) *refusal {
	return &refusal{"malformed", codes.InvalidArgument, http.StatusBadRequest, 0, err}
}

func tooLarge() *refusal {
	err := fmt.Errorf("expected a request of at most %d MiB", LongestRequest>>20)
	return &refusal{"too_large", codes.ResourceExhausted, http.StatusRequestEntityTooLarge, 0, err}
}

// gate bounds the memory of requests that are under way, and the points a second.
type gate struct {
	memory *semaphore.Weighted

	mu     sync.Mutex
	rate   float64 // points a second; 0: no limit
	tokens float64 // points that may come at once; below 0 after a request that was larger
	filled time.Time
}

// usual is what a request gets of the memory before it is read: most are smaller.
const usual = 256 << 10

func newGate(rate int64) *gate {
	return &gate{memory: semaphore.NewWeighted(memory), rate: float64(rate), tokens: float64(rate), filled: time.Now()}
}

// enter waits for memory, and returns an error if ctx ends first.
func (g *gate) enter(ctx context.Context) (*hold, error) {
	return &hold{g, usual}, g.memory.Acquire(ctx, usual)
}

// hold is the memory of one request.
type hold struct {
	gate *gate
	size int64
}

// grow makes room for a request of n bytes, that has been read. It does not wait, since those that wait here would keep what others wait for.
func (h *hold) grow(n int) *refusal {
	more := int64(n) - h.size
	if more <= 0 {
		return nil
	}
	if !h.gate.memory.TryAcquire(more) {
		return &refusal{"busy", codes.Unavailable, http.StatusServiceUnavailable, time.Second, errors.New("too many large requests at once")}
	}
	h.size += more
	return nil
}

func (h *hold) release() { h.gate.memory.Release(h.size) }

// pace takes points from what the rate allows, and returns 0, or how long to wait until it allows any. A request may be larger than a
// second's worth: the next ones wait for it.
func (g *gate) pace(points int64) (wait time.Duration) {
	if g.rate == 0 {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.tokens = min(g.rate, g.tokens+now.Sub(g.filled).Seconds()*g.rate)
	g.filled = now
	if g.tokens <= 0 {
		return max(time.Millisecond, time.Duration((1-g.tokens)/g.rate*float64(time.Second)))
	}
	g.tokens -= float64(points)
	return 0
}
