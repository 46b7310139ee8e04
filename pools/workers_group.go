package pools

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/poolgauge/poolgauge/internal/callsite"
)

// scope is the context of jobs that belong together. It is derived from that of their caller, and
// Close of the pool ends it too.
type scope struct {
	pool    *Workers
	outside context.Context // for the caller
	tasks   *poolContext    // for the jobs
	cancel  context.CancelCauseFunc
	unbind  func() bool
}

func (p *Workers) newScope(ctx context.Context) scope {
	ctx, cancel := context.WithCancelCause(ctx)
	unbind := context.AfterFunc(p.ctx, func() { cancel(p.errClosed) })
	return scope{p, ctx, &poolContext{p.inside(ctx), traced(ctx)}, cancel, unbind}
}

// close ends the scope, with a cause unless it has ended before.
func (s *scope) close(cause error) {
	s.unbind()
	s.cancel(cause)
}

// cause returns why the scope has ended, nil if it has not.
func (s *scope) cause() error { return context.Cause(s.outside) }

// TaskGroup is a set of tasks that run on a shared pool and are waited for together, like an
// [golang.org/x/sync/errgroup.Group] whose limit is that of the pool. [Workers.Group] returns one.
// All methods may be called concurrently, but the first Go comes before Wait.
type TaskGroup struct {
	scope
	wg      sync.WaitGroup
	pending atomic.Int64 // tasks that have not ended
	once    sync.Once
	err     error
}

// Group returns a new TaskGroup and a context derived from ctx. That is canceled the first time
// that a task of the group fails, that Wait returns or that the pool is closed. The context of the
// tasks is derived from it, and ends after [WorkersConfig.TaskTimeout] too.
func (p *Workers) Group(ctx context.Context) (*TaskGroup, context.Context) {
	g := &TaskGroup{scope: p.newScope(ctx)}
	return g, g.outside
}

// Go submits a task. It blocks while the pool has no room, as [Workers.Submit] does; if that fails,
// or the context of the group has ended, the task does not run, and the error is that of the group
// if it is the first. A task that does not return has a [*PanicError]. It panics if task is nil.
func (g *TaskGroup) Go(task Task) {
	if task == nil {
		panic(errNilTask)
	}
	g.pending.Add(1)
	g.wg.Add(1)
	if err := g.pool.submit(g.outside, &groupJob{g, task}, g.tasks); err != nil {
		if cause := g.cause(); cause != nil {
			err = cause
		}
		g.taskDone(err)
	}
}

// Wait blocks until all tasks of the group have ended, and returns the first error. Within a task
// of the same pool it returns [ErrDeadlock] where it would have to wait, and the tasks are
// canceled.
func (g *TaskGroup) Wait() error {
	if g.pending.Load() > 0 && g.pool.isWorker() {
		g.close(g.pool.errDeadlock)
		return g.pool.errDeadlock
	}
	g.wg.Wait()
	g.close(g.err)
	return g.err
}

// taskDone ends one task.
func (g *TaskGroup) taskDone(err error) {
	if err != nil {
		g.once.Do(func() {
			g.err = err
			g.cancel(err)
		})
	}
	g.pending.Add(-1)
	g.wg.Done()
}

// groupJob is a task of a group.
type groupJob struct {
	group *TaskGroup
	task  Task
}

// run is the job. A panic is passed on to the worker, which counts and reports it.
func (j *groupJob) run(ctx context.Context) error {
	returned := false
	defer func() {
		if !returned {
			value := recover()
			err := newPanicError(j.group.pool.name, value)
			j.group.taskDone(err)
			if value != nil {
				panic(err)
			}
		}
	}()
	err := j.task(ctx)
	returned = true
	j.group.taskDone(err)
	return err
}

func (j *groupJob) function() callsite.Func { return callsite.FuncOf(j.task) }

// drop is called instead of run if Close dropped the job.
func (j *groupJob) drop() { j.group.taskDone(j.group.pool.errClosed) }
