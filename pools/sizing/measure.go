package sizing

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// measurement describes the work that a number of workers did within a window.
type measurement struct {
	rate   float64 // tasks per second
	failed float64 // fraction of the tasks that returned an error, 0 to 1
	err    error   // the first error that a task returned
}

// measurer runs workers, first to warm up and then to count the tasks that they complete within a
// window.
type measurer func(ctx context.Context, workers int, warm, window time.Duration) (measurement, error)

// errGoexit is returned if a task ends its worker's goroutine.
var errGoexit = errors.New("sizing: the task called runtime.Goexit")

// A worker reads the clock once per batch of tasks. The size of a batch is adjusted so that a batch
// takes shortBatch to longBatch, so that clock readings cost little even if tasks are short.
const (
	shortBatch = 50 * time.Microsecond
	longBatch  = time.Millisecond
)

// stagger returns the period at the beginning of the warm-up within which workers start, at random
// times. If all workers started together, tasks of equal length would stay in step, and queue
// behind each other more than in a real pool.
func stagger(warm time.Duration) time.Duration { return warm / 2 }

// measureTask returns a measurer that runs task in one goroutine per worker.
//
// A task that is only partly within the window counts as a fraction, so that long tasks are not
// rounded away. All workers keep running tasks until each of them has finished the task that it was
// running when the window closed. Otherwise, the last tasks would run faster, with less
// competition.
func measureTask(task func(context.Context) error, rng *rand.Rand) measurer {
	return func(ctx context.Context, workers int, warm, window time.Duration) (measurement, error) {
		from := time.Now().Add(warm)
		m := &meter{task: task, from: from, to: from.Add(window)}
		m.inside.Store(int64(workers))
		var wg sync.WaitGroup
		for range workers {
			delay := time.Duration(rng.Int64N(int64(stagger(warm)) + 1))
			wg.Go(func() { m.work(ctx, delay) })
		}
		wg.Wait()
		if err := ctx.Err(); err != nil {
			return measurement{}, err
		}
		return measurement{
			rate: m.done / window.Seconds(), failed: float64(m.failed) / float64(max(1, m.tasks)), err: m.firstErr,
		}, m.fatal
	}
}

type meter struct {
	task     func(context.Context) error
	from, to time.Time
	inside   atomic.Int64 // number of workers that have not finished their last task of the window
	stop     atomic.Bool

	mu            sync.Mutex // guards everything below
	done          float64    // number of tasks, including fractions
	tasks, failed int
	firstErr      error
	fatal         error
}

// tally holds what one worker has counted.
type tally struct {
	done          float64
	tasks, failed int
	err           error
}

func (t *tally) count(err error) {
	t.tasks++
	if err == nil {
		return
	}
	t.failed++
	if t.err == nil {
		t.err = err
	}
}

func (m *meter) work(ctx context.Context, delay time.Duration) {
	var own tally
	returned := false
	defer func() {
		fatal := error(nil)
		if !returned {
			fatal = errGoexit
			if p := recover(); p != nil {
				fatal = fmt.Errorf("sizing: the task panicked: %v", p)
			}
		}
		m.add(own, fatal)
	}()
	select {
	case <-ctx.Done():
	case <-time.After(delay):
		m.loop(ctx, &own)
	}
	returned = true
}

func (m *meter) loop(ctx context.Context, own *tally) {
	batch, within := 1, true
	for begin := time.Now(); ctx.Err() == nil && !m.stop.Load(); {
		for range batch {
			own.count(m.task(ctx))
		}
		end := time.Now()
		own.done += float64(batch) * overlap(begin, end, m.from, m.to)
		switch took := end.Sub(begin); {
		case took < shortBatch:
			batch *= 2
		case took > longBatch:
			batch = max(1, batch/2)
		}
		begin = end
		if within && !end.Before(m.to) {
			within = false
			m.stop.CompareAndSwap(false, m.inside.Add(-1) == 0)
		}
	}
}

// overlap returns the fraction, 0 to 1, of the period between begin and end that is within the
// window between from and to.
func overlap(begin, end, from, to time.Time) float64 {
	if !end.After(begin) {
		return 0
	}
	inside := min(end.Sub(from), to.Sub(begin), end.Sub(begin), to.Sub(from))
	return max(0, inside.Seconds()) / end.Sub(begin).Seconds()
}

func (m *meter) add(own tally, fatal error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += own.done
	m.tasks += own.tasks
	m.failed += own.failed
	if m.firstErr == nil {
		m.firstErr = own.err
	}
	if fatal != nil {
		m.fatal = fatal
		m.stop.Store(true)
	}
}
