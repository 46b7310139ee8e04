package probe

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// prober is one probe. Its methods are never called concurrently, and run is called on a locked
// thread.
type prober interface {
	run(ctx context.Context) result
	close() // releases resources held between runs; may be called even if run never was
}

// The reasons for skipping a run.
const (
	skipRunning = "running" // the previous run has not returned
	skipBudget  = "budget"  // the probe has overspent its budget
	skipQuota   = "quota"   // the sidecar has been throttled
)

// task is a probe and its place in the schedule. While busy is locked, only the current run may use
// the task. At other times only the scheduler may use it. Exceptions are noted.
type task struct {
	prober
	name      string // with the target, for messages
	interval  time.Duration
	exclusive bool // must not run at the same time as another exclusive task

	busy   lock
	closed chan struct{} // closed when the probe is closed
	health *health       // safe for concurrent use

	// Used only by the scheduler.
	begun     time.Time // when the schedule began
	runNumber int       // number of the next scheduled run, from 0
	next      time.Time // when the next run is due
	started   time.Time // when the last run started
	skip      map[string]metric.MeasurementOption

	attributes attributes
	budget     budget
	throttled  uint64 // result of the last call to Config.Throttled
}

func newTask(name, target string, interval time.Duration, log *slog.Logger, p prober) *task {
	title := name
	log = log.With("probe", name)
	if target != "" {
		title += " " + target
		log = log.With("target", target)
	}
	attrs := newAttributes(name, target)
	return &task{
		prober:     p,
		name:       title,
		interval:   interval,
		busy:       newLock(),
		closed:     make(chan struct{}),
		health:     &health{log: log},
		skip:       attrs.skipped(),
		attributes: attrs,
	}
}

// begin schedules the first run at now plus jitter.
func (t *task) begin(now time.Time) {
	t.begun = now
	t.next = now.Add(t.jitter())
}

// advance sets t.next to the time of the first scheduled run after now. Run n is due at start + n ×
// interval + jitter, so a late run does not delay later ones. Missed runs are not made up for.
func (t *task) advance(now time.Time) {
	t.runNumber = max(t.runNumber, int(now.Sub(t.begun)/t.interval)) + 1
	t.next = t.begun.Add(time.Duration(t.runNumber)*t.interval + t.jitter())
}

// jitter returns a random delay of up to a tenth of the interval, and at most a second, so that the
// probes do not run in step with those of other sidecars or with periodic work in the kernel.
func (t *task) jitter() time.Duration {
	return rand.N(min(t.interval/10, time.Second))
}

// lock is a mutex. Unlike waiting for a sync.Mutex, waiting for a lock is durably blocking, as
// testing/synctest defines it.
type lock chan struct{}

func newLock() lock    { return make(lock, 1) }
func (l lock) lock()   { l <- struct{}{} }
func (l lock) unlock() { <-l }

func (l lock) tryLock() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}
