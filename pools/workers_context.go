package pools

import (
	"bytes"
	"context"
	"runtime"
	"runtime/pprof"
	"strconv"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// workersKey is the context key for the pool that runs a task.
type workersKey struct{}

// taskContext returns the context of a task that is submitted with ctx, or nil for the pool's
// context. If the task will have to wait and uses are timed, it records the span of ctx, since some
// frameworks reuse contexts.
func (p *Workers) taskContext(ctx context.Context) *poolContext {
	if ctx == context.Background() || ctx == context.TODO() {
		return nil
	}
	if p.tracing.Load() {
		ctx = traced(ctx)
	}
	return &poolContext{p.ctx, ctx}
}

// inside returns ctx marked as a context of the pool's tasks, with the pool's pprof label.
func (p *Workers) inside(ctx context.Context) context.Context {
	return pprof.WithLabels(context.WithValue(ctx, workersKey{}, p), pprof.Labels(string(catalog.PoolNameKey), p.name))
}

// isInside reports whether ctx is the context of one of the pool's tasks, or derived from one.
func (p *Workers) isInside(ctx context.Context) bool {
	return ctx.Value(workersKey{}) == p
}

// isWorker reports whether the calling goroutine is one of the pool's workers. It takes about 1 µs.
func (p *Workers) isWorker() bool {
	p.mu.Lock()
	allIdle := p.used == 0
	p.mu.Unlock()
	if allIdle {
		return false
	}
	id := goroutineID()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isWorkerID(id)
}

// isWorkerID reports whether the goroutine with the given ID is a worker. Caller must hold mu.
func (p *Workers) isWorkerID(id uint64) bool {
	_, ok := p.workers[id]
	return ok
}

// goroutineID returns the ID of the calling goroutine, which is never reused.
func goroutineID() uint64 {
	buf := make([]byte, 64)
	text := bytes.TrimPrefix(buf[:runtime.Stack(buf, false)], []byte("goroutine "))
	text, _, _ = bytes.Cut(text, []byte(" "))
	// if the format ever changes, id is 0, which no goroutine has
	id, _ := strconv.ParseUint(string(text), 10, 64)
	return id
}
