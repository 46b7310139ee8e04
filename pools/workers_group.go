package pools

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/poolgauge/poolgauge/internal/callsite"
)

// scope holds the contexts of jobs that belong together. They are derived from a context of the
// caller, and also end when the pool is closed.
type scope struct {
	pool    *Workers
	outside context.Context // the context for the caller
	tasks   *poolContext    // the context for the jobs
	cancel  context.CancelCauseFunc
	unbind  func() bool
}

func (p *Workers) newScope(ctx context.Context) scope {
	ctx, cancel := context.WithCancelCause(ctx)
	unbind := context.AfterFunc(p.ctx, func() { cancel(p.errClosed) })
	return scope{p, ctx, &poolContext{p.inside(ctx), traced(ctx)}, cancel, unbind}
}

// close ends the scope with cause, unless it has already ended.
func (s *scope) close(cause error) {
	s.unbind()
	s.cancel(cause)
}

// cause returns the reason why the scope has ended, or nil if it has not.
func (s *scope) cause() error { return context.Cause(s.outside) }

// TaskGroup is a set of tasks of a pool that a caller waits for together. It is like a
// [golang.org/x/sync/errgroup.Group] that shares the pool's workers with other tasks. Call
// [Workers.Group] to create a TaskGroup. All methods may be called concurrently, but the first call
// of Go must happen before Wait.
type TaskGroup struct {
	scope
	wg      sync.WaitGroup
	pending atomic.Int64 // number of tasks that have not ended
	once    sync.Once
	err     error
}

// Group returns a new TaskGroup and a context derived from ctx. The context is canceled the first
// time a task of the group fails, when Wait returns, or when the pool is closed. The tasks'
// contexts are derived from that context, and also end after [WorkersConfig.TaskTimeout].
func (p *Workers) Group(ctx context.Context) (*TaskGroup, context.Context) {
	g := &TaskGroup{scope: p.newScope(ctx)}
	return g, g.outside
}

// Go submits task. It blocks while the pool has no room, as [Workers.Submit] does. If submitting
// fails or the group's context is done, the task does not run, and the error becomes the group's
// error unless the group already has one. The error of a task that panicked or called
// [runtime.Goexit] is a [*PanicError]. Go panics if task is nil.
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

// Wait blocks until all tasks of the group have ended, and returns the first error. If a task of
// the same pool calls Wait, it returns [ErrDeadlock] instead of waiting, and cancels the group's
// tasks.
func (g *TaskGroup) Wait() error {
	if g.pending.Load() > 0 && g.pool.isWorker() {
		g.close(g.pool.errDeadlock)
		return g.pool.errDeadlock
	}
	g.wg.Wait()
	g.close(g.err)
	return g.err
}

// taskDone records the end of one task with err.
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

// run implements job. It propagates a panic to the worker, which counts and reports it.
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

// drop implements job. It ends the task with an error, since Close dropped it before it ran.
func (j *groupJob) drop() { j.group.taskDone(j.group.pool.errClosed) }
