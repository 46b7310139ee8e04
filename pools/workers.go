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

// Task is a function that a worker runs. Its context has the values of the context that it was
// submitted with, such as a trace, but does not end with that context. It ends when the pool is
// closed, with an error that wraps [ErrClosed] as the cause, and after [WorkersConfig.TaskTimeout].
type Task = func(ctx context.Context) error

// WorkersConfig configures a worker pool. The zero value is a good default.
type WorkersConfig struct {
	// Queue is the maximum number of tasks that wait while all workers are busy. Zero means 1024.
	// Negative means none: a task is accepted only if a worker can begin it at once.
	Queue int

	// MaxPending is the maximum number of callers blocked in Submit. Beyond it Submit returns an
	// error that wraps [ErrFull]. Zero means no bound.
	MaxPending int

	// IdleTimeout is how long a worker may be idle before it is released, which may take up to
	// twice as long. Zero means 10 s; negative means never.
	IdleTimeout time.Duration

	// TaskTimeout is how long a task may run, not including its time in the queue. When it expires,
	// the context of the task ends; the task must respect that. Zero or negative means no limit. A
	// limit costs two allocations per task.
	TaskTimeout time.Duration

	// OnError is called by the worker with each error that a task of Submit or TrySubmit returns,
	// and with the context of the task. Do, Map, ForEach and TaskGroup return errors to their
	// callers instead. If OnError is nil, errors are only counted.
	OnError func(ctx context.Context, err error)

	// OnPanic is called by the worker after a task has panicked or called [runtime.Goexit]. If it
	// is nil, the panic is logged with [log/slog] at level ERROR, with the stack. In either case,
	// the pool keeps its workers. A panic in OnPanic itself ends the program.
	OnPanic func(*PanicError)
}

// Workers runs tasks with at most n goroutines at a time. Tasks wait in a bounded queue and start
// in the order in which they were accepted. While the queue is full, Submit blocks, and blocked
// callers are served in order.
//
// A worker is started when there is a task and no worker is idle. The worker that became idle last
// gets the next task, so that unneeded workers time out. The goroutines of workers carry the pprof
// label poolgauge.pool.name, by which CPU profiles and goroutine dumps can be split.
//
// A task that panics or calls [runtime.Goexit] is counted and reported, and the worker survives.
//
// A task that waits for its own pool holds a worker meanwhile, so the pool deadlocks when all
// workers do the same. Where Submit, Map, ForEach, Future.Wait, TaskGroup.Wait and Shutdown would
// have to wait, they return [ErrDeadlock] if their context is that of a task of the pool or derived
// from it. With any other context they recognize the goroutine of a worker: Map, ForEach,
// TaskGroup.Wait and Shutdown at once, Future.Wait if all workers are busy, and Submit when no task
// has started or ended for a second. Neither a cycle of several pools is detected, nor a task that
// waits for a goroutine that waits for the pool.
//
// All methods may be called concurrently.
type Workers struct {
	// mu guards all state that changes. Callers take it once per task, and workers take it once to
	// end a task and begin the next.
	//
	// Invariant: while there are tasks and a worker that could be woken or started, waking is set,
	// and the woken worker wakes the next one. Waking one worker at a time is enough: the first
	// does not wait for the second, and a burst of short tasks wakes few workers.
	//
	// Invariant: callers are blocked only while there is no room for a task.
	mu       shortLock
	queue    entryQueue
	used     int // workers that have a task
	alive    int // workers, whether busy, idle or about to start
	limit    int
	size     int  // of the queue
	waking   bool // a worker was woken or started, and has not taken the lock yet
	stage    workersStage
	ended    bool        // stopped, and the last worker has ended
	idle     *idleWorker // a stack: the worker that became idle last is on top, and works next
	blocked  waitQueue[blockedTask, error]
	meter    measure.Meter
	requests measure.Requests
	uses     measure.Uses

	idlers  int                // number of workers in idle
	lowest  int                // smallest number of idle workers since trim was set
	workers map[uint64]*worker // by the IDs of their goroutines
	trim    alarm              // releases idle workers
	watch   alarm              // detects callers that are blocked for too long
	seen    int64              // number of starts and ends of tasks when watch was set

	limitChanges int64

	tracing     atomic.Bool // all workers are busy and the clock is read; written with the lock held
	name        string
	config      WorkersConfig
	ctx         context.Context // of the tasks
	cancel      context.CancelCauseFunc
	errClosed   error
	errFull     error
	errDeadlock error
	reg         *instrument.Registration
	waiters     waiters[blockedTask, error]
	// closed when the pool was stopped, the last worker has ended and the report has ended
	drained    chan struct{}
	goroutines sync.WaitGroup // of workers, and of alarms while they are set
}

type workersStage uint8

const (
	workersOpen     workersStage = iota
	workersDraining              // accepted tasks still run; no more are accepted
	workersClosed                // tasks that have not started are dropped
)

// NewWorkers returns a pool of at most n workers that is reported under name. The name must be
// unique among the live pools of the process; see [instrument.Observe]. No goroutine is started
// before the first task.
func NewWorkers(name string, n int, cfg WorkersConfig, opts ...instrument.Option) (*Workers, error) {
	p := &Workers{name: name, config: cfg, limit: n, size: max(0, cfg.Queue), drained: make(chan struct{})}
	if n < 1 || cfg.MaxPending < 0 {
		return nil, p.error(fmt.Errorf("%d workers and MaxPending %d, expected at least 1 worker and no negative bound",
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

// Queued returns the number of accepted tasks that have not begun.
func (p *Workers) Queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.n
}

// Stats returns a consistent snapshot of the pool. Pending counts the tasks in the queue and the
// callers blocked in Submit. A task counts as a request once it starts, or once it is clear that it
// will not run. Its wait lasts from the call of Submit to its start.
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

// holders sets the age of the oldest task in s, and returns the holders if s wants them. Caller
// must hold mu.
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

// pendingLimit returns the maximum number of pending tasks if the number of blocked callers is
// bounded. It includes as many tasks as there are workers, since those may be on their way to one.
// Caller must hold mu.
func (p *Workers) pendingLimit() int64 {
	bound := math.MaxInt64 - int64(p.config.MaxPending)
	bound = min(bound, int64(p.size)) + int64(p.config.MaxPending)
	return min(math.MaxInt64-int64(p.limit), bound) + int64(p.limit)
}

// Resize changes the number of workers. More workers are started when there are tasks for them.
// When the pool shrinks, idle workers end at once and busy workers when their task ends; until then
// Usage may exceed Limit.
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
