package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
	"github.com/poolgauge/poolgauge/internal/thread"
)

// closeWait is how long Close waits for runs to return. It is short because a sidecar may have only
// two seconds to shut down.
const closeWait = 250 * time.Millisecond

// Runner runs the probes of one [Config] until it is closed.
type Runner struct {
	tasks     []*task
	recorders instruments.Recorders
	throttled func() (uint64, bool)
	threadCPU func() time.Duration
	cpus      lock // locked during an exclusive run

	cancel context.CancelFunc
	closed chan struct{} // closed when all runs have returned and all probes are closed
}

// Start runs the probes of cfg and records their results with instruments of meter, created from
// the Probe group of internal/catalog. It returns immediately: the first runs start within the
// first second, each on its own goroutine. If Start fails, no probe runs, and the error names the
// invalid setting, its value and what was expected.
func Start(meter metric.Meter, log *slog.Logger, cfg Config) (*Runner, error) {
	tasks, err := newTasks(log, cfg)
	if err != nil {
		return nil, err
	}
	recorders, err := instruments.NewRecorders(meter, catalog.Probe.Metrics...)
	if err != nil {
		return nil, err
	}
	r := &Runner{tasks: tasks, recorders: recorders, throttled: cfg.Throttled, threadCPU: thread.CPU}
	r.start()
	return r, nil
}

func (r *Runner) start() {
	if r.throttled == nil {
		r.throttled = func() (uint64, bool) { return 0, false }
	}
	r.cpus = newLock()
	r.closed = make(chan struct{})
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	now := time.Now()
	for _, t := range r.tasks {
		t.begin(now)
	}
	go r.schedule(ctx)
}

// Close stops the schedule, cancels the current runs, discards their results, and waits up to a
// quarter of a second for them to return. A run that does not return in this time, for example on a
// hung disk, is abandoned; the error names its probe, which is closed when the run returns. Close
// may be called more than once.
func (r *Runner) Close() error {
	r.cancel()
	timeout := time.NewTimer(closeWait)
	defer timeout.Stop()
	select {
	case <-r.closed:
	case <-timeout.C:
	}
	var errs []error
	for _, t := range r.tasks {
		select {
		case <-t.closed:
		default:
			errs = append(errs, fmt.Errorf("probe %s did not return within %v and was abandoned", t.name, closeWait))
		}
	}
	return errors.Join(errs...)
}

// schedule runs each task when it is due until ctx is done, and then closes the tasks.
func (r *Runner) schedule(ctx context.Context) {
	defer close(r.closed)
	for _, t := range r.tasks {
		r.wasThrottled(t) // records the baseline for later calls
	}
	for len(r.tasks) > 0 {
		next := slices.MinFunc(r.tasks, func(a, b *task) int { return a.next.Compare(b.next) })
		select {
		case <-time.After(time.Until(next.next)):
			r.startOrSkip(ctx, next)
			continue
		case <-ctx.Done():
		}
		break
	}
	var closing sync.WaitGroup
	for _, t := range r.tasks {
		closing.Go(func() {
			t.busy.lock() // never unlocked: no runs follow
			t.close()
			close(t.closed)
		})
	}
	closing.Wait()
}

// startOrSkip starts a run of t, or counts a skipped run.
func (r *Runner) startOrSkip(ctx context.Context, t *task) {
	intended, now := t.next, time.Now()
	t.advance(now)
	if reason := r.admit(t, now); reason != "" {
		r.recorders[catalog.ProbeSkipped](ctx, 1, t.skip[reason])
		return
	}
	t.started = now
	go r.run(ctx, t, intended)
}

// admit decides whether t may run now. If so, it locks t.busy for the run and returns "".
// Otherwise, it returns the reason for skipping the run.
func (r *Runner) admit(t *task, now time.Time) string {
	if !t.busy.tryLock() {
		t.health.missed(now.Sub(t.started))
		return skipRunning
	}
	throttled := r.wasThrottled(t)
	switch {
	case t.budget.isOverspent(now):
		t.busy.unlock()
		return skipBudget
	case throttled:
		t.busy.unlock()
		return skipQuota
	}
	return ""
}

// wasThrottled reports whether the sidecar's cgroup has been throttled since the last call for t.
func (r *Runner) wasThrottled(t *task) bool {
	periods, ok := r.throttled()
	if !ok {
		return false
	}
	before := t.throttled
	t.throttled = periods
	return periods > before
}

// run runs t once. The caller must hold t.busy.
func (r *Runner) run(ctx context.Context, t *task, intended time.Time) {
	defer t.busy.unlock()
	if t.exclusive {
		// Time spent waiting for another exclusive probe does not count.
		requested := time.Now()
		r.cpus.lock()
		defer r.cpus.unlock()
		intended = intended.Add(time.Since(requested))
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	before := r.threadCPU()
	res := t.run(ctx)
	took := time.Since(intended)
	if ctx.Err() != nil {
		return
	}
	res.points = append(
		res.points,
		point{catalog.ProbeDuration, series{"total", res.kind}, took.Seconds()},
		point{catalog.ProbeRuns, series{errorType: res.kind}, 1},
	)
	for _, p := range res.points {
		r.recorders[p.metric](ctx, p.value, t.attributes.of(p.series))
	}
	cost := r.threadCPU() - before + res.cost
	r.recorders[catalog.ProbeCost](ctx, cost.Seconds(), t.attributes.of(series{}))
	t.budget.charge(time.Now(), cost)
	r.wasThrottled(t) // do not skip the next run because of throttling caused by this one
	t.health.finished(res)
}
