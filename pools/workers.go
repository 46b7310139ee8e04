package pools

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// Task is a function that a worker runs. ctx has the values of the context with which the task was
// submitted, such as a trace, but is not canceled with it. ctx is done when the pool is closed,
// with a cause that wraps [ErrClosed], and after [WorkersConfig.TaskTimeout].
type Task = func(ctx context.Context) error

// WorkersConfig configures a worker pool. The zero value is a good default.
type WorkersConfig struct {
	// Queue is the maximum number of tasks that wait while all workers are busy. Zero means 1024.
	// Negative means no queue: a task is accepted only if a worker can start it immediately.
	Queue int

	// MaxPending is the maximum number of callers blocked in Submit. If that many are blocked,
	// Submit returns an error that wraps [ErrFull]. Zero means no bound.
	MaxPending int

	// IdleTimeout is the minimum time for which a worker is idle before it is released. A worker
	// may stay idle for up to twice as long. Zero means 10 s; negative means that workers are never
	// released.
	IdleTimeout time.Duration

	// TaskTimeout is how long a task may run, not including its time in the queue. After that time,
	// the task's context is done, and the task should return. Zero or negative means no limit.
	// Setting a limit costs two allocations per task.
	TaskTimeout time.Duration

	// OnError is called in the worker's goroutine with each error that a task passed to Submit or
	// TrySubmit returns, and with the task's context. Do, Map, ForEach and TaskGroup return errors
	// to their callers instead. If OnError is nil, errors are only counted.
	OnError func(ctx context.Context, err error)

	// OnPanic is called in the worker's goroutine after a task has panicked or called
	// [runtime.Goexit]. If it is nil, the panic is logged with [log/slog] at level ERROR, with the
	// stack. In either case, the pool keeps its workers. A panic in OnPanic itself crashes the
	// program.
	OnPanic func(*PanicError)
}

// Workers is a pool of at most n goroutines that run tasks. Tasks wait in a bounded queue and start
// in the order in which they were accepted. While the queue is full, Submit blocks, and blocked
// callers are served in order.
//
// A worker is started if there is a task and no worker is idle. The worker that became idle last
// gets the next task, so that surplus workers time out. Workers' goroutines carry the pprof label
// poolgauge.pool.name, so that CPU profiles and goroutine dumps can be broken down by pool.
//
// A panic or [runtime.Goexit] in a task is counted and reported, and the worker survives.
//
// A task that waits for its own pool occupies a worker while it waits, so the pool deadlocks if the
// tasks of all workers do the same. Submit, Map, ForEach, Future.Wait, TaskGroup.Wait and Shutdown
// therefore return [ErrDeadlock] instead of waiting if their context is that of one of the pool's
// tasks, or derived from one. With any other context, they check whether the calling goroutine is a
// worker: Map, ForEach and Shutdown always do, TaskGroup.Wait if its tasks are pending, Future.Wait
// if all workers are busy, and Submit once no task has started or ended for a second. They do not
// detect tasks of several pools that wait for each other, or a task that waits for a goroutine that
// waits for the pool.
//
// All methods may be called concurrently.
type Workers struct {
	// mu guards all mutable state. A caller locks it once per task, and a worker once to end a task
	// and begin the next.
	//
	// Invariant: while tasks are queued and a worker could be woken or started, waking is set. The
	// woken worker wakes the next one. Waking one worker at a time delays no worker that is already
	// awake, and a burst of short tasks wakes few workers.
	//
	// Invariant: callers are blocked only while there is no room for a task.
	mu       shortLock
	queue    entryQueue
	used     int // number of workers that have a task
	alive    int // number of workers, whether busy, idle or about to start
	limit    int
	size     int  // maximum number of queued tasks
	waking   bool // a worker was woken or started, and has not taken the lock yet
	stage    workersStage
	ended    bool        // the pool was stopped, and the last worker has ended
	idle     *idleWorker // top of the stack of idle workers; the worker that became idle last gets the next task
	blocked  waitQueue[blockedTask, error]
	meter    measure.Meter
	requests measure.Requests
	uses     measure.Uses

	idlers          int                // number of workers on that stack
	minIdlers       int                // minimum of idlers since trim was set
	workers         map[uint64]*worker // workers by goroutine ID
	trim            alarm              // releases idle workers
	watch           alarm              // detects workers that are blocked in Submit
	lastTransitions int64              // result of transitions when watch was set

	limitChanges int64

	tracing     atomic.Bool // all workers are busy and uses are timed; written with mu held
	name        string
	config      WorkersConfig
	ctx         context.Context // parent of the tasks' contexts
	cancel      context.CancelCauseFunc
	errClosed   error
	errFull     error
	errDeadlock error
	reg         *instrument.Registration
	waiters     waiters[blockedTask, error]
	// closed once the pool is stopped, its last worker has ended and it is no longer reported
	drained    chan struct{}
	goroutines sync.WaitGroup // counts workers and set alarms
}

type workersStage uint8

const (
	workersOpen     workersStage = iota
	workersDraining              // accepted tasks still run, but no more are accepted
	workersClosed                // tasks that have not started are dropped
)

// NewWorkers returns a pool of at most n workers that is reported under name. The name must be
// unique among the live pools of the process; see [instrument.Observe]. The pool starts no
// goroutine until the first task.
func NewWorkers(name string, n int, cfg WorkersConfig, opts ...instrument.Option) (*Workers, error) {
	p := &Workers{name: name, config: cfg, limit: n, size: max(0, cfg.Queue), drained: make(chan struct{})}
	if n < 1 || cfg.MaxPending < 0 {
		return nil, p.error(fmt.Errorf(
			"%d workers and MaxPending %d, expected at least 1 worker and a MaxPending of 0 (no bound) or more",
			n, cfg.MaxPending))
	}
	if cfg.Queue == 0 {
		p.size = 1024
	}
	if cfg.IdleTimeout == 0 {
		p.config.IdleTimeout = 10 * time.Second
	}
	if cfg.OnPanic == nil {
		p.config.OnPanic = (*PanicError).log
	}
	p.errClosed, p.errFull, p.errDeadlock = p.error(ErrClosed), p.error(errNoRoom), p.error(ErrDeadlock)
	timing := instrument.TimingOf(opts...)
	p.meter.Init(timing, &p.mu, func() int64 { return int64(p.used) })
	p.uses.Split.Init(timing)
	ctx, cancel := context.WithCancelCause(context.Background())
	p.ctx, p.cancel = p.inside(ctx), cancel
	var err error
	if p.reg, err = instrument.Observe(name, "worker", p.Stats, opts...); err != nil {
		cancel(err)
		return nil, err
	}
	return p, nil
}

var errNoRoom = fmt.Errorf("all workers are busy and the queue is full: %w", ErrFull)

func (p *Workers) error(err error) error {
	return &poolError{"worker", p.name, err}
}

// Size returns the maximum number of workers.
func (p *Workers) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}

// Running returns the number of running tasks.
func (p *Workers) Running() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// isBusy reports whether all workers have tasks.
func (p *Workers) isBusy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used >= p.limit
}

// Queued returns the number of accepted tasks that have not started.
func (p *Workers) Queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.n
}

// Stats returns a consistent snapshot of the pool. Pending counts the tasks in the queue and the
// callers blocked in Submit. A task is counted as a request when it starts, or when it is certain
// that it will not run. Its wait lasts from the call to Submit to its start.
func (p *Workers) Stats() instrument.Stats {
	s, holders := p.stats()
	s.Holders = holders.Name() // without the lock held
	return s
}

func (p *Workers) stats() (s instrument.Stats, held measure.Holders) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := measure.Clock()
	p.requests.Report(&s, &p.meter, measure.AllOutcomes...)
	p.uses.Report(&s, &p.meter, now, measure.AllEndings...)
	s.Limit, s.LimitChanges = instrument.Some(int64(p.limit)), instrument.Some(p.limitChanges)
	s.Usage[instrument.Idle] = instrument.Some(int64(p.alive - p.used))
	s.Pending = instrument.Some(int64(p.queue.n + p.blocked.length))
	if p.config.MaxPending > 0 {
		s.PendingLimit = instrument.Some(p.pendingLimit())
	}
	if p.queue.n > 0 {
		s.PendingAge = p.queue.first().wait.Age(now)
	} else if p.blocked.first != nil {
		s.PendingAge = p.blocked.first.wait.Age(now)
	}
	held = p.holders(&s, now)
	return s, held
}

// holders sets s.UseAge to the age of the oldest task, and returns the holders if s.WantsHolders
// returns true. Caller must hold mu.
func (p *Workers) holders(s *instrument.Stats, now time.Duration) measure.Holders {
	if p.used == 0 {
		return nil
	}
	var oldest measure.Oldest[*worker]
	for _, w := range p.workers {
		if w.busy {
			oldest.Add(w.use.Span, w)
		}
	}
	return oldest.Report(s, now, (*worker).hold)
}

// pendingLimit returns the maximum number of pending tasks, which is meaningful only if MaxPending
// bounds the number of blocked callers. It includes one task per worker, since that many tasks may
// be on their way to a worker. Caller must hold mu.
func (p *Workers) pendingLimit() int64 {
	bound := math.MaxInt64 - int64(p.config.MaxPending)
	bound = min(bound, int64(p.size)) + int64(p.config.MaxPending)
	return min(math.MaxInt64-int64(p.limit), bound) + int64(p.limit)
}

// Resize changes the maximum number of workers to n. If n is larger than before, more workers are
// started when there are tasks for them. If n is smaller, idle workers end immediately, and busy
// workers when their tasks end; until then Usage may exceed Limit.
func (p *Workers) Resize(n int) error {
	if n < 1 {
		return p.error(fmt.Errorf("resize to %d workers, expected at least 1", n))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n != p.limit {
		p.limitChanges++
	}
	p.limit = n
	p.setTracing(false)
	p.dismiss(p.alive - n)
	p.admit()
	p.wake()
	return nil
}
