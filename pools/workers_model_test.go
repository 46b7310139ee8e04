package pools_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

// workersModel is a sequential reference implementation of Workers. Its tasks run until the test
// ends them.
type workersModel struct {
	limit, queueLimit int
	maxPending        int
	stopped           bool
	running           []int // numbers of the running tasks, in the order in which they started
	queue             []int
	blocked           []int
	started           []int
	dropped           int // number of queued tasks dropped by Close
	requests          [5]int64
	completed         [4]int64
}

// settle starts all tasks that can start.
func (m *workersModel) settle() {
	for m.admit(); len(m.queue) > 0 && len(m.running) < m.limit; m.admit() {
		m.running = append(m.running, m.queue[0])
		m.started = append(m.started, m.queue[0])
		m.queue = m.queue[1:]
		m.requests[instrument.Acquired]++
	}
}

func (m *workersModel) admit() {
	for len(m.blocked) > 0 && m.hasRoom() {
		m.queue = append(m.queue, m.blocked[0])
		m.blocked = m.blocked[1:]
	}
}

// hasRoom reports whether a task is accepted. A task that a worker can take immediately does not
// count toward the limit of the queue.
func (m *workersModel) hasRoom() bool {
	return len(m.queue) < m.queueLimit+max(0, m.limit-len(m.running))
}

func (m *workersModel) submit(task int, mayBlock bool) {
	switch {
	case m.stopped:
		m.requests[instrument.WasClosed]++
	case m.hasRoom():
		m.queue = append(m.queue, task)
	case mayBlock && len(m.blocked) < m.maxPending:
		m.blocked = append(m.blocked, task)
	default:
		m.requests[instrument.Rejected]++
	}
}

func (m *workersModel) stop(drop bool) {
	m.stopped = true
	m.requests[instrument.WasClosed] += int64(len(m.blocked))
	m.blocked = nil
	if drop {
		m.requests[instrument.WasClosed] += int64(len(m.queue))
		m.dropped += len(m.queue)
		m.queue = nil
	}
}

// workersTrial runs the same operations on a pool and on its model, in a synctest bubble.
type workersTrial struct {
	t          *testing.T
	pool       *pools.Workers
	model      workersModel
	invariants pooltest.Invariants
	tasks      int                       // number of tasks so far
	ends       map[int]chan func() error // receives the function that ends the task, by task
	cancels    map[int]context.CancelFunc

	mu       sync.Mutex // guards everything below
	started  []int
	returned map[int]error // results of Submit, by task
}

func newWorkersTrial(t *testing.T, n, queue int) *workersTrial {
	p, err := pools.NewWorkers(
		"trial",
		n,
		pools.WorkersConfig{Queue: queue, MaxPending: 4, IdleTimeout: time.Second, OnPanic: func(*pools.PanicError) {}},
		instrument.WithExactTiming(),
	)
	if err != nil {
		t.Fatal(err)
	}
	return &workersTrial{
		t:          t,
		pool:       p,
		model:      workersModel{limit: n, queueLimit: max(0, queue), maxPending: 4},
		invariants: pooltest.Invariants{Shrinks: true},
		ends:       map[int]chan func() error{},
		cancels:    map[int]context.CancelFunc{},
		returned:   map[int]error{},
	}
}

func (w *workersTrial) submit(mayBlock bool) {
	task := w.tasks
	w.tasks++
	end := make(chan func() error, 1)
	w.ends[task] = end
	run := func(context.Context) error {
		w.mu.Lock()
		w.started = append(w.started, task)
		w.mu.Unlock()
		return (<-end)()
	}
	w.model.submit(task, mayBlock)
	if !mayBlock {
		w.answer(task, w.pool.TrySubmit(run))
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancels[task] = cancel
	go func() { w.answer(task, w.pool.Submit(ctx, run)) }()
}

func (w *workersTrial) answer(task int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.returned[task] = err
}

var errTask = errors.New("task failed")

func (w *workersTrial) end(i, how int) {
	if len(w.model.running) == 0 {
		return
	}
	i %= len(w.model.running)
	task := w.model.running[i]
	w.model.running = slices.Delete(w.model.running, i, i+1)
	w.model.completed[how]++
	w.ends[task] <- []func() error{
		func() error { return nil },
		func() error { return errTask },
		func() error { panic("trial") },
		func() error { runtime.Goexit(); return nil },
	}[how]
}

func (w *workersTrial) cancel(i int) {
	if len(w.model.blocked) == 0 {
		return
	}
	i %= len(w.model.blocked)
	w.cancels[w.model.blocked[i]]()
	w.model.blocked = slices.Delete(w.model.blocked, i, i+1)
	w.model.requests[instrument.Canceled]++
}

func (w *workersTrial) resize(n int) {
	w.model.limit = n
	if err := w.pool.Resize(n); err != nil {
		w.t.Fatal(err)
	}
}

func (w *workersTrial) stop(drop bool) {
	w.model.stop(drop)
	if drop {
		go w.pool.Close()
	} else {
		go func() { _ = w.pool.Shutdown(context.Background()) }()
	}
}

// step performs the operation that op and arg encode.
func (w *workersTrial) step(op, arg byte) {
	switch a := int(arg); op % 16 {
	case 0, 1, 2, 3, 4:
		w.submit(true)
	case 5, 6:
		w.submit(false)
	case 7, 8, 9, 10:
		w.end(a/4, a%4)
	case 11, 12:
		w.cancel(a)
	case 13:
		w.resize(1 + a%6)
	case 14:
		time.Sleep(3 * time.Second) // so that idle workers are released
	case 15:
		if a < 16 {
			w.stop(a < 8)
		}
	}
	synctest.Wait()
	w.model.settle()
}

// check compares the pool with the model.
func (w *workersTrial) check() {
	w.t.Helper()
	s := w.pool.Stats()
	if err := w.invariants.Check(s); err != nil {
		w.t.Fatal(err)
	}
	for i, want := range w.model.requests {
		if got := s.Requests[i].Or(-1); got != want {
			w.t.Fatalf("%d requests with outcome %v, want %d", got, instrument.Outcome(i), want)
		}
	}
	for i, want := range w.model.completed {
		if got := s.Completed[i].Or(-1); got != want {
			w.t.Fatalf("%d tasks with ending %v, want %d", got, instrument.Ending(i), want)
		}
	}
	if used, pending := s.Usage[instrument.Used].Or(
		-1,
	), s.Pending.Or(
		-1,
	); used != int64(len(w.model.running)) ||
		pending != int64(len(w.model.queue)+len(w.model.blocked)) {
		w.t.Fatalf(
			"%d used and %d pending; want %d used, and %d queued and %d blocked",
			used,
			pending,
			len(w.model.running),
			len(w.model.queue),
			len(w.model.blocked),
		)
	}
	if r, q, n := w.pool.Running(), w.pool.Queued(), w.pool.Size(); r != len(w.model.running) ||
		q != len(w.model.queue) ||
		n != w.model.limit {
		w.t.Fatalf("%d running, %d queued, size %d; want %d, %d, %d",
			r, q, n, len(w.model.running), len(w.model.queue), w.model.limit)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.started) // tasks that started in the same step may have started in any order
	if !slices.Equal(w.started, slices.Sorted(slices.Values(w.model.started))) {
		w.t.Fatalf("tasks %v started, want %v", w.started, w.model.started)
	}
}

// finish stops the pool, ends all tasks, and checks that exactly the tasks whose submission
// succeeded ran.
func (w *workersTrial) finish(dropped bool) {
	w.t.Helper()
	w.stop(dropped)
	synctest.Wait()
	for len(w.model.running) > 0 {
		w.end(0, 0)
		synctest.Wait()
		w.model.settle()
		w.check()
	}
	w.pool.Close()
	synctest.Wait()
	w.check()
	for task := range w.tasks {
		err, answered := w.returned[task]
		if !answered {
			w.t.Fatalf("Submit of task %d has not returned after Close", task)
		}
		if ran := slices.Contains(w.started, task); ran && err != nil || !ran && err == nil && w.model.dropped == 0 {
			w.t.Fatalf("task %d: ran %t, but Submit returned %v", task, ran, err)
		}
		if err != nil && !errors.Is(err, pools.ErrClosed) && !errors.Is(err, pools.ErrFull) &&
			!errors.Is(err, context.Canceled) {
			w.t.Fatalf("task %d: Submit returned %v, want ErrClosed, ErrFull or Canceled", task, err)
		}
	}
	for _, cancel := range w.cancels {
		cancel()
	}
}

// queueSize returns the queue size that b encodes: -1 for no queue, or 1 to 5.
func queueSize(b byte) int {
	if b%6 == 5 {
		return -1
	}
	return 1 + int(b%6)
}

func runWorkersTrial(t *testing.T, history []byte) {
	synctest.Test(t, func(t *testing.T) {
		if len(history) < 2 {
			return
		}
		w := newWorkersTrial(t, 1+int(history[0]%5), queueSize(history[1]))
		for i := 2; i+1 < len(history); i += 2 {
			w.step(history[i], history[i+1])
			w.check()
		}
		w.finish(len(history)%4 == 0)
	})
}

func TestWorkersAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			history := make([]byte, 2+r.IntN(300))
			for i := range history {
				history[i] = byte(r.Uint32())
			}
			runWorkersTrial(t, history)
		})
	}
}

func FuzzWorkers(f *testing.F) {
	f.Add([]byte("submit and end"))
	f.Add([]byte{1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 11, 1, 13, 0, 7, 2, 7, 3, 14, 0, 15, 9, 5, 0})
	f.Fuzz(func(t *testing.T, history []byte) {
		runWorkersTrial(t, history[:min(len(history), 600)])
	})
}
