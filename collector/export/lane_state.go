package export

import (
	"log/slog"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/collector/queue"
)

// State is the state of a lane.
type State int

// The states of a lane. See the package documentation.
const (
	OK State = iota
	Retrying
	Rejecting
)

func (s State) String() string { return [...]string{"ok", "retrying", "rejecting"}[s] }

// awayAfter is how long the upstream must have accepted nothing from a lane before it counts as
// away for that lane.
const awayAfter = 5 * time.Second

const (
	minSize = 4 << 10 // minimum size of a request, in bytes
	// minimum size after timeouts; a request this small does not time out because of its size
	minSlowSize     = 16 << 10
	ceilingDuration = 10 * time.Minute // how long to avoid a size that failed
	minInterval     = 10 * time.Second // between log lines about new causes in the same state
	okAfter         = time.Minute      // time without invalid requests after which a rejecting lane is ok again
	manyInvalid     = 8                // number of invalid requests in a row after which the next one must wait
)

// laneState is the state of a lane, as determined by the responses to the lane's requests.
type laneState struct {
	lane    queue.Lane
	queue   *queue.Queue
	policy  Policy
	timeout time.Duration
	log     *slog.Logger
	// shared by all lanes of the upstream
	recovery *recovery

	mu      sync.Mutex // guards everything below
	state   State
	failure *Failure // the last failure; nil if the state is OK
	asked   bool     // the outcome of a request is known
	away    bool     // the last value passed to Queue.SetAway
	// when the upstream last recovered, or when the lane was created; batches put earlier are the
	// backlog
	recoveredAt time.Time
	blocked     bool // a smaller request would not help
	watcher     *time.Timer
	since       time.Time // when the state was entered
	// when the upstream last accepted a request, or when the first request that failed since then
	// was sent
	acceptedNothingSince time.Time
	heldSince            time.Time // when the first held failure since the last success occurred; zero if none
	lastInvalid          time.Time // when the last invalid request was rejected
	invalidInRow         int       // invalid requests since the last success
	loggedAt             time.Time // when the last line was logged
	lostBefore           int64     // points lost until the lane was last ok
	size                 int64     // current size of requests
	ceiling              int64     // maximum of size until ceilingEnds
	ceilingEnds          time.Time
	largestAccepted      int64     // size of the largest request accepted since one of that size or less failed
	unexplained          int       // number of failures at sizes that had been accepted; see shrink
	unexplainedAt        time.Time // when the last such failure occurred
	transitions          [3]int64  // number of transitions, by the state entered
	complaining          bool      // the last accepted response had a message or rejected points
	rejected             int64     // points, for the log
}

func newLaneState(
	lane queue.Lane,
	q *queue.Queue,
	policy Policy,
	timeout time.Duration,
	r *recovery,
	log *slog.Logger,
) *laneState {
	return &laneState{
		lane:        lane,
		queue:       q,
		policy:      policy,
		timeout:     timeout,
		recovery:    r,
		log:         log.With("lane", lane.String()),
		size:        RequestSize,
		since:       time.Now(),
		recoveredAt: time.Now(),
	}
}

// requestSize returns the current maximum size of a request.
func (l *laneState) requestSize() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// lastRecovery returns when the upstream last recovered, or when the lane was created.
func (l *laneState) lastRecovery() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recoveredAt
}

// succeeded records that the upstream accepted a request of the given size, and responded with
// result after the given time.
func (l *laneState) succeeded(bytes int64, within time.Duration, result Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.heldSince, l.acceptedNothingSince, l.invalidInRow, l.blocked = true, time.Time{}, time.Now(), 0, false
	l.largestAccepted = max(l.largestAccepted, bytes)
	l.grow(bytes, within)
	l.setAway(false)
	if l.state == Retrying || l.state == Rejecting && time.Since(l.lastInvalid) > okAfter {
		l.transition(OK, nil)
	}
	complains := result != Result{}
	if complains && !l.complaining {
		l.complain(result)
	}
	l.complaining = complains
}

// complain logs the first of several complaints in a row.
func (l *laneState) complain(result Result) {
	if result.Rejected == 0 {
		l.log.Warn("upstream accepted items with a warning", "message", result.Message)
		return
	}
	l.log.Warn("upstream rejected some items", "items", result.Rejected, "message", result.Message)
}

// failed records that a request failed. bytes is the request's size, begun is the time at which it
// was sent, and indivisible is true if it cannot be divided. If giveUp is true, the request must
// not be retried as it is, but must be divided or rejected.
func (l *laneState) failed(failure *Failure, bytes int64, begun time.Time, indivisible bool) (giveUp bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = true
	if failure.Kind == Invalid {
		return true
	}
	if l.acceptedNothingSince.IsZero() || l.state == OK {
		l.acceptedNothingSince = begun
	}
	floor := map[Kind]int64{Slow: minSlowSize, Large: minSize}[failure.Kind]
	smaller := floor > 0 && bytes > floor && !indivisible && l.size > minSize
	if smaller {
		l.shrink(bytes)
	}
	held := failure.Kind == Held || failure.Kind == Split || failure.Kind == Large && !smaller
	if held && l.heldSince.IsZero() {
		l.heldSince = time.Now()
	}
	l.blocked = !smaller
	l.watch()
	if held && time.Since(l.heldSince) >= l.policy.Hold {
		return true
	}
	if l.state == OK || l.state == Retrying {
		l.transition(Retrying, failure)
	} else {
		l.setFailure(failure)
	}
	return false
}

// reject records that the given number of points were rejected because of failure.
func (l *laneState) reject(failure *Failure, points int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rejected += points
	if failure.Kind == Invalid {
		l.lastInvalid = time.Now()
		l.invalidInRow++
	}
	l.transition(Rejecting, failure)
}

// tooManyInvalid reports whether so many requests in a row were invalid that the next one must
// wait.
func (l *laneState) tooManyInvalid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.invalidInRow >= manyInvalid
}

// transition changes the state and logs the change. failure is the reason for the new state, or nil
// if the state is OK. Caller must hold mu.
func (l *laneState) transition(to State, failure *Failure) {
	if l.state == to {
		l.setFailure(failure)
		return
	}
	was, lasted := l.state, time.Since(l.since).Round(time.Millisecond)
	l.state, l.failure, l.since, l.loggedAt = to, failure, time.Now(), time.Now()
	l.transitions[to]++
	switch to {
	case OK:
		l.recovery.announce()
		l.log.Info(
			"upstream is accepting items again",
			"after",
			lasted,
			"lost",
			l.lost()-l.lostBefore,
			"queued",
			l.queue.Account().Lanes[l.lane].Queued,
		)
		l.lostBefore = l.lost()
	case Retrying:
		log := l.log
		if !l.heldSince.IsZero() {
			log = log.With("lost_after", l.policy.Hold)
		}
		log.Warn("upstream is not accepting items; they are queued", "error", failure, "reason", failure.Reason)
	case Rejecting:
		l.log.Warn(
			"items permanently rejected; they are lost",
			"error",
			failure,
			"reason",
			failure.Reason,
			"previous_state",
			was.String(),
		)
	}
}

// setFailure records failure as the new reason for the current state, and logs it if it differs
// from the previous one, at most once per minInterval. Caller must hold mu.
func (l *laneState) setFailure(failure *Failure) {
	if failure == nil {
		return
	}
	changed := l.failure == nil || l.failure.Reason != failure.Reason || l.failure.Error() != failure.Error()
	if changed && time.Since(l.loggedAt) >= minInterval {
		l.loggedAt = time.Now()
		l.log.Warn(
			"upstream is still failing, for another reason",
			"state",
			l.state.String(),
			"error",
			failure,
			"reason",
			failure.Reason,
		)
	}
	l.failure = failure
}

// lost returns how many items the lane has lost so far. Caller must hold mu.
func (l *laneState) lost() int64 { return l.rejected + l.queue.Account().Lanes[l.lane].Full }

// watch marks the upstream as away once it has accepted nothing from the lane for awayAfter. Caller
// must hold mu.
func (l *laneState) watch() {
	switch left := awayAfter - time.Since(l.acceptedNothingSince); {
	case l.away || !l.blocked:
	case left <= 0:
		l.setAway(true)
	case l.watcher == nil:
		l.watcher = time.AfterFunc(left, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.watcher = nil
			if l.blocked {
				l.watch()
			}
		})
	}
}

// stop stops the watcher.
func (l *laneState) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blocked = false
	if l.watcher != nil {
		l.watcher.Stop()
		l.watcher = nil
	}
}

// setAway tells the queue whether the upstream counts as away for the lane. Caller must hold mu.
func (l *laneState) setAway(away bool) {
	if l.away != away {
		l.away = away
		if !away {
			l.recoveredAt = time.Now()
		}
		l.queue.SetAway(l.lane, away)
	}
}

// shrink halves the size of requests after a request of the given size proved too large. Caller
// must hold mu.
//
// A request may fail although requests of the same size or larger were accepted before. If that
// happens once, the upstream's limit may have been lowered. If it happens again, no limit explains
// it, and a ceiling would only keep requests small.
func (l *laneState) shrink(bytes int64) {
	now := time.Now()
	l.size = max(min(l.size, bytes)/2, minSize)
	if now.Sub(l.unexplainedAt) >= ceilingDuration {
		l.unexplained = 0
	}
	if bytes <= l.largestAccepted {
		l.largestAccepted, l.unexplainedAt = 0, now
		l.unexplained++
	}
	if l.unexplained > 1 {
		l.ceilingEnds = time.Time{}
		return
	}
	l.ceiling, l.ceilingEnds = max(bytes*3/4, minSize), now.Add(ceilingDuration)
}

// grow increases the size of requests if the request that was just accepted was fast and at
// least half as large as the current size. Caller must hold mu.
func (l *laneState) grow(bytes int64, within time.Duration) {
	if l.size >= RequestSize || bytes < l.size/2 || within > l.timeout/2 {
		return
	}
	size := l.size + l.size/8
	if within < l.timeout/16 {
		size = 2 * l.size
	}
	if time.Now().Before(l.ceilingEnds) {
		size = min(size, max(l.ceiling, l.size))
	}
	l.size = min(size, RequestSize)
}

// read returns a snapshot of the lane's state.
func (l *laneState) read() LaneAccount {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LaneAccount{
		State: l.state, Since: l.since, Asked: l.asked, Failure: l.failure, Transitions: l.transitions,
		Available: l.state == OK || l.state == Rejecting && !l.away && l.heldSince.IsZero(),
	}
}
