package wrapredis

import (
	"context"
	"net"
	"runtime"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// track holds the events that the recorder reported for one pool of one client.
type track struct {
	totals totals // counters of redis.PoolStats; used only by the goroutine that collects

	measure.Recorder // its lock guards everything below

	hasEvents    bool // at least one request was recorded
	uses         map[redis.ConnInfo]measure.Use
	constructing int64
	created      instrument.Histogram // times to establish a connection, with handshake and retried dials
	failed       instrument.Histogram // durations of failed dials
	closed       [numReasons]int64
}

func newTrack(opts []instrument.Option) *track {
	t := &track{uses: map[redis.ConnInfo]measure.Use{}}
	t.Init(instrument.TimingOf(opts...))
	return t
}

// reason is why a connection was closed.
type reason uint8

const (
	stale reason = iota // too old, idle for too long, or found broken before use
	tooManyIdle
	broken
	failover
	shutdown
	other
	numReasons
)

func (r reason) String() string {
	return [...]string{"stale", "max_idle", "broken", "failover", "pool_closed", "other"}[r]
}

// reasonOf parses the reason that go-redis gives for closing a connection: a fixed word, or the
// text of the error that a command returned.
func reasonOf(text string) reason {
	switch text {
	case "stale":
		return stale
	case "conn_pool_close":
		return tooManyIdle
	case "failover":
		return failover
	case "pool_shutdown":
		return shutdown
	case "hook_error", "auth_error", "maintnotifications_disabled", "unknown":
		return other
	}
	return broken
}

// startUse records that a request acquired cn after waiting for the given time. c is the command
// that sent the request, or nil if that is unknown.
func (t *track) startUse(c *call, cn redis.ConnInfo, waited time.Duration) {
	t.Lock()
	defer t.Unlock()
	if c != nil && c.track == t && c.claim.IsActive() {
		t.uses[cn] = c.claim.GetAfter(&t.Recorder, waited)
		return
	}
	// acquired by go-redis itself, or by a command that started before the hook was added
	claim := t.Ask(trace.SpanContext{})
	t.uses[cn] = claim.GetAfter(&t.Recorder, waited)
}

// endUse records the end of cn's use, if cn is in use.
func (t *track) endUse(cn redis.ConnInfo, how instrument.Ending) {
	t.Lock()
	defer t.Unlock()
	t.endUseLocked(cn, how)
}

// endUseLocked is like endUse, but the caller must hold the lock.
func (t *track) endUseLocked(cn redis.ConnInfo, how instrument.Ending) {
	if use, used := t.uses[cn]; used {
		delete(t.uses, cn)
		t.End(use, how)
	}
}

// recordClose records that cn was closed. If cn was in use, the use ends as an error.
func (t *track) recordClose(cn redis.ConnInfo, why reason) {
	t.Lock()
	defer t.Unlock()
	t.closed[why]++
	t.endUseLocked(cn, instrument.Failed)
}

func (t *track) recordCreate(took time.Duration) {
	t.Lock()
	defer t.Unlock()
	t.created.Record(took)
}

// stats combines p with the recorded events. p is a parameter because go-redis must not be called
// while the lock is held.
func (t *track) stats(p *redis.PoolStats) instrument.Stats {
	s := t.totals.stats(p)
	t.Lock()
	defer t.Unlock()
	s.Pending = instrument.Some(int64(p.PendingRequests))
	s.Usage[instrument.Constructing] = instrument.Some(t.constructing)
	s.Resources = append(
		s.Resources,
		instrument.Resources{Event: instrument.CreateFailed, Reason: "error", Count: int64(t.failed.Count())},
	)
	s.Create = []instrument.Creation{{ErrorType: "error", Duration: t.failed.Clone()}}
	if !t.hasEvents {
		return s
	}
	now := measure.Clock()
	t.Requests.Report(&s, &t.Meter, instrument.Acquired, instrument.Canceled, instrument.TimedOut)
	t.ReportUses(&s, now, instrument.OK, instrument.Failed)
	t.Pending.Report(&s, now)
	s.Waits, s.WaitTime = instrument.Optional[int64]{}, instrument.Optional[float64]{}
	// The first entry is the snapshot's count of closed connections; t.closed replaces it.
	s.Resources = append(
		s.Resources[1:], instrument.Resources{Event: instrument.Created, Count: int64(t.created.Count())})
	for why, n := range t.closed {
		s.Resources = append(
			s.Resources,
			instrument.Resources{Event: instrument.Ended, Reason: reason(why).String(), Count: n},
		)
	}
	s.Create = append(s.Create, instrument.Creation{Duration: t.created.Clone()})
	return s
}

// call is one command or pipeline of a client. It is carried in the context, and is used by only
// one goroutine.
type call struct {
	main, pipelines *track
	track           *track // of the pool from which the connection is requested
	claim           measure.Claim
}

type callKey struct{}

// startRequest records the start of a request for a connection. pool is go-redis's name for the
// pool. The first request for a pool establishes which track belongs to that name.
func (c *call) startRequest(ctx context.Context, pool string) {
	c.finish()
	t := c.main
	if strings.HasSuffix(pool, "_pipeline") {
		t = c.pipelines
	}
	if trackOf(pool) != t {
		storeTrack(pool, t)
	}
	c.track = t
	span := trace.SpanContextFromContext(ctx)
	t.Lock()
	defer t.Unlock()
	t.hasEvents = true
	c.claim = t.Ask(span)
}

// failRequest records the end of a request that got no connection because ctx is done. If ctx is
// not done, it records nothing: if the request timed out, go-redis then also calls RecordError.
func (c *call) failRequest(ctx context.Context) {
	if err := ctx.Err(); err != nil {
		c.abandonRequest(instrument.GaveUp(err))
	}
}

func (c *call) abandonRequest(how instrument.Outcome) {
	c.endRequest(func(r *measure.Recorder) { c.claim.GiveUp(r, how) })
}

// finish records the end of the request, if it is still active: the pool granted it, but the dial
// failed.
func (c *call) finish() {
	c.endRequest(func(r *measure.Recorder) { r.End(c.claim.Get(r), instrument.Failed) })
}

// endRequest calls record with the lock held, unless the end of the request was already recorded.
func (c *call) endRequest(record func(*measure.Recorder)) {
	t := c.track
	if t == nil {
		return
	}
	t.Lock()
	defer t.Unlock()
	if c.claim.IsActive() {
		record(&t.Recorder)
	}
}

// hook records the dials of a client, and puts a call into the context of each of its commands and
// pipelines.
type hook struct{ main, pipelines *track }

// hooks maps clients, as weak.Pointer[redis.Client], to their hooks.
var hooks sync.Map // of weak.Pointer[hook]

// hookOf returns c's hook. If c has none, hookOf adds one.
func hookOf(c *redis.Client, opts []instrument.Option) *hook {
	h := &hook{newTrack(opts), newTrack(opts)}
	key := weak.Make(c)
	if w, known := hooks.LoadOrStore(key, weak.Make(h)); known {
		p, _ := w.(weak.Pointer[hook])
		if first := p.Value(); first != nil {
			return first
		}
	}
	runtime.AddCleanup(c, func(key weak.Pointer[redis.Client]) { hooks.Delete(key) }, key)
	c.AddHook(h)
	return h
}

// DialHook implements redis.Hook.
func (h *hook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		h.main.Lock()
		h.main.constructing++
		start := measure.Clock()
		h.main.Unlock()
		c, err := next(ctx, network, addr)
		h.main.Lock()
		defer h.main.Unlock()
		h.main.constructing--
		if err != nil {
			h.main.failed.Record(measure.Clock() - start)
		}
		return c, err
	}
}

// ProcessHook implements redis.Hook.
func (h *hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !installed.Load() {
			return next(ctx, cmd)
		}
		c := &call{main: h.main, pipelines: h.pipelines}
		defer c.finish()
		return next(context.WithValue(ctx, callKey{}, c), cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h *hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !installed.Load() {
			return next(ctx, cmds)
		}
		c := &call{main: h.main, pipelines: h.pipelines}
		defer c.finish()
		return next(context.WithValue(ctx, callKey{}, c), cmds)
	}
}
