package probe

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// prober is one probe. Its methods are never called concurrently, and all of run happens on one
// locked thread.
type prober interface {
	run(ctx context.Context) result
	close() // releases what runs left open; it may be called without any run
}

// The reasons to skip a run.
const (
	skipRunning = "running" // the last one still goes on
	skipBudget  = "budget"  // the probe's account is in debt
	skipQuota   = "quota"   // the sidecar itself has been throttled
)

// task is a probe and its place in the schedule. While busy is held the task belongs to the run,
// otherwise to the schedule, except for what is marked.
type task struct {
	prober
	name      string // with the target, for people
	interval  time.Duration
	exclusive bool // never beside another exclusive one

	busy   lock
	closed chan struct{} // closed when the probe is
	health *health       // safe for both

	// The schedule's alone.
	turn    int       // turns since the start
	next    time.Time // when the next turn is due
	started time.Time // when the last run was
	skip    map[string]metric.MeasurementOption

	attributes attributes
	account    account
	throttled  uint64 // Config.Throttled when last looked at
}

func newTask(name, target string, interval time.Duration, share float64, log *slog.Logger, p prober) *task {
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
		account:    account{share: share},
	}
}

// begin makes the first turn due at once, but for the jitter.
func (t *task) begin(now time.Time) {
	t.account.opened = now
	t.next = now.Add(t.jitter())
}

// advance sets next to the first turn after now. Turns lie at opened + n × interval plus a jitter
// of their own, so a late one does not shift those after it, and missed ones are not made up for.
func (t *task) advance(now time.Time) {
	t.turn = max(t.turn, int(now.Sub(t.account.opened)/t.interval)) + 1
	t.next = t.account.opened.Add(time.Duration(t.turn)*t.interval + t.jitter())
}

// jitter is a tenth of the interval, at most a second: enough not to run in step with the sidecars
// of other pods, or with a period of the kernel.
func (t *task) jitter() time.Duration {
	return rand.N(min(t.interval/10, time.Second))
}

// lock is a mutex that may be unlocked by another goroutine than the one that locked it. Waiting
// for it is waiting for a channel, which testing/synctest understands.
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
