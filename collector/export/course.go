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
	minSlowSize  = 16 << 10
	ceilingLasts = 10 * time.Minute // how long to avoid a size that failed
	minInterval  = 10 * time.Second // between log lines about new causes in the same state
	calm         = time.Minute      // time without invalid requests after which a lane is ok again
	manyInvalid  = 8                // number of invalid requests in a row after which the next one must wait
)

// course tracks the state of a lane, as determined by the responses to the lane's requests.
type course struct {
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
	back    time.Time
	blocked bool // a smaller request would not help
	watcher *time.Timer
	since   time.Time // when the state was entered
	// when the upstream last accepted a request, or when the first failed request began
	taken       time.Time
	held        time.Time // when the first held failure since a success occurred; zero if none
	invalid     time.Time // when the last invalid request was rejected
	row         int       // invalid requests since the last success
	said        time.Time // when the last line was logged
	lostBefore  int64     // points lost until the lane was last ok
	size        int64     // current size of requests
	ceiling     int64     // maximum of size until ceilingEnds
	ceilingEnds time.Time
	accepted    int64     // size of the largest request accepted since a request of that size or less failed
	chance      int       // number of failures at sizes that had been accepted; see shrink
	chanceAt    time.Time // when the last such failure occurred
	transitions [3]int64  // how many, by the state entered
	complaining bool      // the response to the last accepted request had a message or rejected points
	rejected    int64     // points, for the log
}

func newCourse(
	lane queue.Lane,
	q *queue.Queue,
	policy Policy,
	timeout time.Duration,
	r *recovery,
	log *slog.Logger,
) *course {
	return &course{
		lane:     lane,
		queue:    q,
		policy:   policy,
		timeout:  timeout,
		recovery: r,
		log:      log.With("lane", lane.String()),
		size:     RequestSize,
		since:    time.Now(),
		back:     time.Now(),
	}
}

// requestSize returns the current maximum size of a request.
func (c *course) requestSize() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// returned returns when the upstream last recovered, or when the lane was created.
func (c *course) returned() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.back
}

// took records that the upstream accepted a request of the given size and responded with result
// after the given time.
func (c *course) took(bytes int64, within time.Duration, result Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.held, c.taken, c.row, c.blocked = true, time.Time{}, time.Now(), 0, false
	c.accepted = max(c.accepted, bytes)
	c.grow(bytes, within)
	c.setAway(false)
	if c.state == Retrying || c.state == Rejecting && time.Since(c.invalid) > calm {
		c.turn(OK, nil)
	}
	complains := result != Result{}
	if complains && !c.complaining {
		c.complain(result)
	}
	c.complaining = complains
}

// complain logs the first of several complaints in a row.
func (c *course) complain(result Result) {
	if result.Rejected == 0 {
		c.log.Warn("upstream accepted items with a warning", "message", result.Message)
		return
	}
	c.log.Warn("upstream rejected some items", "items", result.Rejected, "message", result.Message)
}

// failed records that a request failed. bytes is the request's size, begun is the time at which it
// was sent, and whole is true if it cannot be divided. If giveUp is true, the request must not be
// retried as it is, but divided or rejected.
func (c *course) failed(failure *Failure, bytes int64, begun time.Time, whole bool) (giveUp bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = true
	if failure.Kind == Invalid {
		return true
	}
	if c.taken.IsZero() || c.state == OK {
		c.taken = begun
	}
	least := map[Kind]int64{Slow: minSlowSize, Large: minSize}[failure.Kind]
	smaller := least > 0 && bytes > least && !whole && c.size > minSize
	if smaller {
		c.shrink(bytes)
	}
	held := failure.Kind == Held || failure.Kind == Split || failure.Kind == Large && !smaller
	if held && c.held.IsZero() {
		c.held = time.Now()
	}
	c.blocked = !smaller
	c.watch()
	if held && time.Since(c.held) >= c.policy.Hold {
		return true
	}
	if c.state == OK || c.state == Retrying {
		c.turn(Retrying, failure)
	} else {
		c.cause(failure)
	}
	return false
}

// reject records that the given number of points is rejected because of failure.
func (c *course) reject(failure *Failure, points int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rejected += points
	if failure.Kind == Invalid {
		c.invalid = time.Now()
		c.row++
	}
	c.turn(Rejecting, failure)
}

// crowded reports whether so many requests were invalid that the next one must wait.
func (c *course) crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.row >= manyInvalid
}

// turn changes the state and logs the change. failure is the reason for the new state, or nil if
// the state is OK. Caller must hold mu.
func (c *course) turn(to State, failure *Failure) {
	if c.state == to {
		c.cause(failure)
		return
	}
	was, lasted := c.state, time.Since(c.since).Round(time.Millisecond)
	c.state, c.failure, c.since, c.said = to, failure, time.Now(), time.Now()
	c.transitions[to]++
	switch to {
	case OK:
		c.recovery.announce()
		c.log.Info(
			"upstream is accepting items again",
			"after",
			lasted,
			"lost",
			c.lost()-c.lostBefore,
			"queued",
			c.queue.Account().Lanes[c.lane].Queued,
		)
		c.lostBefore = c.lost()
	case Retrying:
		log := c.log
		if !c.held.IsZero() {
			log = log.With("lost_after", c.policy.Hold)
		}
		log.Warn("upstream is not accepting items; they are queued", "error", failure, "reason", failure.Reason)
	case Rejecting:
		c.log.Warn(
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

// cause records failure as the new reason for the current state, and logs it if it differs from the
// previous one, at most once per minInterval. Caller must hold mu.
func (c *course) cause(failure *Failure) {
	if failure == nil {
		return
	}
	changed := c.failure == nil || c.failure.Reason != failure.Reason || c.failure.Error() != failure.Error()
	if changed && time.Since(c.said) >= minInterval {
		c.said = time.Now()
		c.log.Warn(
			"upstream is still failing, for another reason",
			"state",
			c.state.String(),
			"error",
			failure,
			"reason",
			failure.Reason,
		)
	}
	c.failure = failure
}

// lost returns how many items the lane has lost so far. Caller must hold mu.
func (c *course) lost() int64 { return c.rejected + c.queue.Account().Lanes[c.lane].Full }

// watch marks the upstream as away once it has accepted nothing from the lane for awayAfter. Caller
// must hold mu.
func (c *course) watch() {
	switch left := awayAfter - time.Since(c.taken); {
	case c.away || !c.blocked:
	case left <= 0:
		c.setAway(true)
	case c.watcher == nil:
		c.watcher = time.AfterFunc(left, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.watcher = nil
			if c.blocked {
				c.watch()
			}
		})
	}
}

// end stops the watcher.
func (c *course) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocked = false
	if c.watcher != nil {
		c.watcher.Stop()
		c.watcher = nil
	}
}

// setAway tells the queue whether the upstream counts as away for the lane. Caller must hold mu.
func (c *course) setAway(away bool) {
	if c.away != away {
		c.away = away
		if !away {
			c.back = time.Now()
		}
		c.queue.SetAway(c.lane, away)
	}
}

// shrink halves the size of requests after a request of the given size proved too large. Caller
// must hold mu.
//
// A request may fail although larger ones were accepted before. If that happens once, the
// upstream's limit may have been lowered. If it happens again, no limit explains it, and a ceiling
// would only keep requests small.
func (c *course) shrink(bytes int64) {
	now := time.Now()
	c.size = max(min(c.size, bytes)/2, minSize)
	if now.Sub(c.chanceAt) >= ceilingLasts {
		c.chance = 0
	}
	if bytes <= c.accepted {
		c.accepted, c.chanceAt = 0, now
		c.chance++
	}
	if c.chance > 1 {
		c.ceilingEnds = time.Time{}
		return
	}
	c.ceiling, c.ceilingEnds = max(bytes*3/4, minSize), now.Add(ceilingLasts)
}

// grow increases the size of requests after a request that was about as large as allowed and fast
// enough. Caller must hold mu.
func (c *course) grow(bytes int64, within time.Duration) {
	if c.size >= RequestSize || bytes < c.size/2 || within > c.timeout/2 {
		return
	}
	size := c.size + c.size/8
	if within < c.timeout/16 {
		size = 2 * c.size
	}
	if time.Now().Before(c.ceilingEnds) {
		size = min(size, max(c.ceiling, c.size))
	}
	c.size = min(size, RequestSize)
}

// read returns a snapshot of the lane's state.
func (c *course) read() LaneAccount {
	c.mu.Lock()
	defer c.mu.Unlock()
	return LaneAccount{
		State: c.state, Since: c.since, Asked: c.asked, Failure: c.failure, Transitions: c.transitions,
		Available: c.state == OK || c.state == Rejecting && !c.away && c.held.IsZero(),
	}
}
