package export

import (
	"log/slog"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/collector/queue"
)

// State is the state of a lane.
type State int

// The states of a lane; see the package's documentation.
const (
	OK State = iota
	Retrying
	Rejecting
)

func (s State) String() string { return [...]string{"ok", "retrying", "rejecting"}[s] }

// AwayAfter is how long a lane must not have been accepted before its upstream counts as away.
const AwayAfter = 5 * time.Second

const (
	leastSize = 4 << 10 // of a request
	// of one that is made smaller because the upstream was slow: less is not a matter of size
	leastSlow     = 16 << 10
	ceilingLasts  = 10 * time.Minute // for which a size that failed is not tried again
	leastInterval = 10 * time.Second // of lines about another cause in the same state
	calm          = time.Minute      // without an invalid request, after which a lane is ok again
	manyInvalid   = 8                // invalid requests in a row, after which there is a wait before the next
)

// course is the state of a lane, as the answers to its requests make it.
type course struct {
	lane    queue.Lane
	queue   *queue.Queue
	policy  Policy
	timeout time.Duration
	log     *slog.Logger
	// of the upstream, which the lane shares with others
	recovery *recovery

	mu      sync.Mutex // guards what follows
	state   State
	failure *Failure // the last, while not ok
	asked   bool     // an answer came
	away    bool     // as the queue was told
	// when the upstream was last back, or the lane began: what was put before is the backlog
	back    time.Time
	blocked bool // a smaller request is no remedy
	watcher *time.Timer
	since   time.Time // of the state
	// when the lane last was well: the upstream took a request, or the first that failed began
	taken       time.Time
	held        time.Time // when the first failure that is held came; zero if none since a success
	invalid     time.Time // when the last invalid request was rejected
	row         int       // of invalid requests without a success
	said        time.Time // when the last line was logged
	lostBefore  int64     // points, when the lane was last ok
	size        int64     // of requests
	ceiling     int64     // of size, until ceilingEnds
	ceilingEnds time.Time
	transitions [3]int64 // into each state
	complaining bool     // the upstream had something to say of the last request that it took
	rejected    int64    // points, for the log
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

// requestSize returns how large a request may be now.
func (c *course) requestSize() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// returned returns when the upstream was last back.
func (c *course) returned() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.back
}

// took notes that the upstream accepted a request of some bytes, within a time.
func (c *course) took(bytes int64, within time.Duration, result Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.held, c.taken, c.row, c.blocked = true, time.Time{}, time.Now(), 0, false
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

// complain logs the first complaint of a row.
func (c *course) complain(result Result) {
	if result.Rejected == 0 {
		c.log.Warn("upstream accepted items with a warning", "message", result.Message)
		return
	}
	c.log.Warn("upstream rejected some items", "items", result.Rejected, "message", result.Message)
}

// failed notes a failure of a request of some bytes that began at a time; whole says that it cannot
// be divided. It reports whether the request is to be given up: rejected, or divided first if it
// can be.
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
	least := map[Kind]int64{Slow: leastSlow, Large: leastSize}[failure.Kind]
	smaller := least > 0 && bytes > least && !whole && c.size > leastSize
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

// reject notes that points are rejected because of a failure.
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

// crowded reports whether so many requests were invalid that the next must wait.
func (c *course) crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.row >= manyInvalid
}

// turn makes the state the given one. Caller must hold mu.
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
			"upstream is accepting again",
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
		log.Warn("upstream does not accept items; they are queued", "error", failure, "reason", failure.Reason)
	case Rejecting:
		c.log.Warn(
			"items permanently rejected by the upstream; they are lost",
			"error",
			failure,
			"reason",
			failure.Reason,
			"before",
			was.String(),
		)
	}
}

// cause logs another cause in the same state. Caller must hold mu.
func (c *course) cause(failure *Failure) {
	if failure == nil {
		return
	}
	changed := c.failure == nil || c.failure.Reason != failure.Reason || c.failure.Error() != failure.Error()
	if changed && time.Since(c.said) >= leastInterval {
		c.said = time.Now()
		c.log.Warn(
			"upstream still does not accept items, for another reason",
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

// lost returns the items that the lane lost so far. Caller must hold mu.
func (c *course) lost() int64 { return c.rejected + c.queue.Account().Lanes[c.lane].Full }

// watch marks the upstream as away once it has not accepted for long enough. Caller must hold mu.
func (c *course) watch() {
	switch left := AwayAfter - time.Since(c.taken); {
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

// setAway tells the queue. Caller must hold mu.
func (c *course) setAway(away bool) {
	if c.away != away {
		c.away = away
		if !away {
			c.back = time.Now()
		}
		c.queue.SetAway(c.lane, away)
	}
}

// shrink halves the size, which a request of some bytes showed to be too large. Caller must hold
// mu.
func (c *course) shrink(bytes int64) {
	c.size = max(min(c.size, bytes)/2, leastSize)
	c.ceiling, c.ceilingEnds = max(bytes*3/4, leastSize), time.Now().Add(ceilingLasts)
}

// grow makes the size larger after a request that used it, and was quick enough. Caller must hold
// mu.
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

// read returns a snapshot.
func (c *course) read() LaneAccount {
	c.mu.Lock()
	defer c.mu.Unlock()
	return LaneAccount{
		State: c.state, Since: c.since, Asked: c.asked, Failure: c.failure, Transitions: c.transitions,
		Available: c.state == OK || c.state == Rejecting && !c.away && c.held.IsZero(),
	}
}
