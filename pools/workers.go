package pools

import (
	"context"
	"fmt"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Task is what a worker runs. Its context is that of the pool: [Workers.Close] cancels it, with [ErrClosed] as the cause, and it
// has a deadline if there is a [WorkersConfig.TaskTimeout].
type Task = func(ctx context.Context) error

// WorkersConfig sizes a worker pool. The zero value is a good start.
type WorkersConfig struct {
	// Queue is how many tasks may wait for a worker. 0 is 1024. The memory for it is taken as it is needed, 32 bytes a task.
	Queue int

	// IdleTimeout is how long a worker may have nothing to do before it is released; it may take up to twice as long. 0 is 10 s.
	IdleTimeout time.Duration

	// TaskTimeout is how long a task may run. It does not include the time in the queue. The context of the task ends then, and
	// the task must heed it. 0 is no limit; otherwise each task costs two more allocations and about 0.5 µs.
	TaskTimeout time.Duration

	// OnPanic is called by the worker after a task has panicked or called [runtime.Goexit]. Nil logs it with [log/slog] at level
	// ERROR, with the stack. Whatever it does, the pool keeps its workers; a panic of OnPanic itself ends the program.
	OnPanic func(*PanicError)
}

// Workers runs tasks with at most n goroutines at a time. Tasks wait in a bounded queue and start in the order in which they
// were accepted; while the queue is full, Submit blocks, and its callers are served in their order.
//
// Workers are started when there is a task for one and no idle one, and the idle one that worked last gets the next task, so that
// those not needed can go. Their goroutines carry the pprof label poolgauge.pool.name, by which CPU profiles and goroutine
// dumps split.
//
// A task that panics or calls [runtime.Goexit] is counted and reported, and costs no worker.
//
// A task that waits for its own pool holds a worker meanwhile, which deadlocks the pool when all of them do. So with the context of
// a task of this pool, Submit does not block: it returns [ErrDeadlock] if the queue is full, as Map, ForEach, Future.Wait and
// Shutdown do where they would have to wait. A circle of several pools goes undetected.
//
// All methods may be called concurrently. Submit and the run of a task take 20 ns to 40 ns together and allocate nothing.
type Workers struct {
	// There are two sides, so that callers and workers rarely meet: mu guards that of the callers, run that of the workers, and what
	// is guarded by both is read with either. Whoever needs both locks run first. A caller takes mu once for a task. A worker takes
	// run once for a task, to end the last and begin the next, and mu when it has run out of tasks and fetches all that there are.
	// What a task touches on each side fills two cache lines: hence the order of the fields.
	//
	// Invariant: while there are tasks and a worker that could be woken or started, waking is set, and whoever is woken passes
	// it on. One at a time is enough: the first does not wait for the second, and a burst of short tasks wakes few.
	//
	// Invariant: callers block only while the queue, which is in and out together, is full.
	mu      shortLock
	in      workerQueue  // tasks that were submitted last
	ahead   int          // at least the tasks in out
	limit   int          // guarded by both
	stage   workersStage // guarded by both
	waking  bool         // a worker was woken or started, and has not looked yet
	trims   bool         // trimmer is set
	alive   int          // workers, whether busy, idle or about to start
	asked   askLedger
	idle    *idleWorker   // a stack: the one that worked last is on top, and works next
	idlers  int           // the workers in idle
	lowest  int           // the fewest idle workers since trimmer was set
	trimmer *time.Timer   // nil until the first worker is idle
	blocked workerCallers // guarded by both

	run    shortLock
	out    workerQueue // tasks that were submitted first
	excess int         // workers that are to retire
	ran    runLedger

	name        string
	config      WorkersConfig
	ctx         context.Context // of the tasks
	cancel      context.CancelCauseFunc
	errClosed   error
	errFull     error
	errDeadlock error
	reg         *instrument.Registration
	callers     sync.Pool      // of *workerCaller, so that blocking does not allocate
	drained     chan struct{}  // closed when the pool was stopped and the last worker is gone
	goroutines  sync.WaitGroup // workers, and the idle timer while it is set
}

type workersStage uint8

const (
	workersOpen     workersStage = iota
	workersDraining              // accepted tasks run, no others are accepted
	workersClosed                // tasks that have not started do not run
)

// workersKey is the key under which the context of a task holds its pool.
type workersKey struct{}

// NewWorkers returns a pool of at most n workers. The name must be unique among the live pools of the process, see
// [instrument.Observe]. No goroutine is started before the first task.
func NewWorkers(name string, n int, cfg WorkersConfig, opts ...instrument.Option) (*Workers, error) {
	if n < 1 || cfg.Queue < 0 || cfg.IdleTimeout < 0 || cfg.TaskTimeout < 0 {
		return nil, fmt.Errorf("worker pool %q: %d workers, config %+v: want at least 1 worker and nothing negative", name, n, cfg)
	}
	if cfg.Queue == 0 {
		cfg.Queue = 1024
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = 10 * time.Second
	}
	if cfg.OnPanic == nil {
		cfg.OnPanic = (*PanicError).log
	}
	p := &Workers{
		name: name, config: cfg, limit: n,
		drained:     make(chan struct{}),
		asked:       newAskLedger(opts),
		ran:         newRunLedger(opts),
		errClosed:   fmt.Errorf("worker pool %q: %w", name, ErrClosed),
		errFull:     fmt.Errorf("worker pool %q: %d tasks are queued: %w", name, cfg.Queue, ErrFull),
		errDeadlock: fmt.Errorf("worker pool %q: %w", name, ErrDeadlock),
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	p.ctx = p.inside(ctx)
	p.cancel = cancel
	var err error
	if p.reg, err = instrument.Observe(name, "worker", p.Stats, opts...); err != nil {
		cancel(err)
		return nil, err
	}
	return p, nil
}

// Stats returns what the pool has done and what it is doing, all of one moment. A task counts as a request when it starts, or when it
// will not: Pending are the tasks in the queue. The wait goes from Submit to the start, and is sampled with
// the use while tasks are short and come fast. Stats takes about 5 µs.
func (p *Workers) Stats() (s instrument.Stats) {
	p.run.Lock()
	defer p.run.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	tally(&s, &p.asked, &p.ran)
	s.Limit = instrument.Some(int64(p.limit))
	s.Usage[instrument.Idle] = instrument.Some(int64(p.alive) - p.ran.used())
	s.Pending = instrument.Some(int64(p.in.n + p.out.n))
	s.PendingLimit = instrument.Some(int64(p.config.Queue))
	if first := p.first(); first != nil && !p.asked.sampler.Off() {
		s.PendingAge = instrument.Some(first.age(instrument.Now()))
	}
	return s
}

// first returns the task that is next, nil if there is none. Caller must hold both locks.
func (p *Workers) first() *workerEntry {
	switch {
	case p.out.n > 0:
		return p.out.first()
	case p.in.n > 0:
		return p.in.first()
	}
	return nil
}

// Resize changes the number of workers. More are started when there are tasks for them. Fewer remain at once if they are idle, and
// as they end their tasks otherwise; until then Usage may exceed Limit.
func (p *Workers) Resize(n int) error {
	if n < 1 {
		return fmt.Errorf("worker pool %q: resize to %d workers: want at least 1", p.name, n)
	}
	p.run.Lock()
	p.mu.Lock()
	p.limit = n
	p.dismiss(p.alive - n)
	p.run.Unlock()
	p.release()
	return nil
}

// Shutdown stops the pool when all accepted tasks are done; from now on none is accepted, and callers that are blocked get
// [ErrClosed]. If ctx ends first it returns an error that wraps that of ctx and says how many tasks are left; they still run
// unless Close is called.
//
// When it returns nil, all goroutines of the pool have ended and its metrics with them.
func (p *Workers) Shutdown(ctx context.Context) error {
	p.stop(workersDraining)
	if p.isInside(ctx) {
		return p.errDeadlock
	}
	select {
	case <-p.drained:
		p.end()
		return nil
	case <-ctx.Done():
	}
	p.run.Lock()
	defer p.run.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("shut down worker pool %q: %d tasks are queued and %d run: %w", p.name, p.in.n+p.out.n, p.ran.used(), ctx.Err())
}

// Close stops the pool at once: it cancels the context of the tasks that run and waits for them, and drops those that are queued,
// which count as closed. Callers that are blocked get [ErrClosed]. A task must not call it. Further calls wait as well.
//
// When it returns, all goroutines of the pool have ended and its metrics with them.
func (p *Workers) Close() {
	p.stop(workersClosed)
	p.cancel(p.errClosed)
	<-p.drained
	p.end()
}

// end is called once the last worker is gone, maybe more than once.
func (p *Workers) end() {
	p.goroutines.Wait()
	p.cancel(p.errClosed)
	p.reg.Close()
}

// stop enters a stage, unless the pool is beyond it.
func (p *Workers) stop(stage workersStage) {
	p.run.Lock()
	p.mu.Lock()
	p.stage = max(p.stage, stage)
	for p.blocked.first != nil {
		c := p.blocked.pop()
		p.asked.refuse(instrument.WasClosed, c.since)
		c.entry = workerEntry{}
		c.answer <- p.errClosed
	}
	if stage == workersClosed {
		p.drop(&p.out)
		p.drop(&p.in)
	}
	p.ahead = p.out.n
	if p.trims && p.trimmer.Stop() {
		p.trims = false
		p.goroutines.Done()
	}
	p.dismiss(p.idlers)
	p.run.Unlock()
	p.release()
}

// drop empties a queue. A task that was not timed counts as if it had come with the one before. Caller must hold both locks.
func (p *Workers) drop(q *workerQueue) {
	var since time.Duration
	for q.n > 0 {
		if e := q.pop(); e.asked != 0 {
			since = e.asked.at()
		}
		p.asked.refuse(instrument.WasClosed, since)
	}
}

// inside returns ctx as that of a task of the pool.
func (p *Workers) inside(ctx context.Context) context.Context {
	return pprof.WithLabels(context.WithValue(ctx, workersKey{}, p), pprof.Labels(string(catalog.PoolNameKey), p.name))
}

// isInside reports whether ctx is that of a task of the pool.
func (p *Workers) isInside(ctx context.Context) bool {
	return ctx.Value(workersKey{}) == p
}

// size returns how many workers there may be.
func (p *Workers) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}
