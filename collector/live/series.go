package live

import (
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// window is the least time that rates and quantiles are of; they are of less than two windows, or
// of the app's interval if that is longer.
const window = 9 * time.Second

// young is how old a counter may be when it is first seen, to count from its start.
const young = time.Minute

// series is one stream of points of an app, of a row of the catalogue.
type series struct {
	metric     *catalog.Metric
	pool       *pool // nil: of no pool
	kind       otlp.MetricKind
	delta      bool
	monotonic  bool
	role       role
	generation uint32 // of the request that it was last in
	attributes []byte // KeyValues in wire form, each behind its size, but for those of the pool

	start, at int64 // nanoseconds since 1970
	value     float64
	buckets   []byte // of a histogram, in wire form
	older     mark   // what rates count from: a window ago or more
	newer     mark
}

// mark is a point of the past. Of a histogram it has the buckets.
type mark struct {
	at      int64
	value   float64
	buckets []byte
}

// take takes a point that is not older than the last. wire is what it has of a histogram, to be
// copied.
func (s *series) take(p *otlp.Point, wire []byte) {
	s.buckets = append(s.buckets[:0], wire...)
	start, at := int64(p.Start), int64(p.Time)
	first := s.at == 0
	again := s.monotonic && p.Number < s.value || s.start != start
	s.start, s.at, s.value = start, at, p.Number
	switch {
	case s.delta:
		s.older = mark{at: start, buckets: s.older.buckets[:0]}
	case first && at-start > int64(young):
		s.older = mark{at: at, value: p.Number, buckets: append(s.older.buckets[:0], wire...)}
		s.newer = mark{at: at, value: p.Number, buckets: append(s.newer.buckets[:0], wire...)}
	case first, again && s.kind != otlp.GaugePoints:
		s.older = mark{at: start, buckets: s.older.buckets[:0]}
		s.newer = mark{at: start, buckets: s.newer.buckets[:0]}
	}
	if !s.delta && at-s.newer.at >= int64(window) {
		spare := s.older.buckets[:0]
		s.older = s.newer
		s.newer = mark{at: at, value: p.Number, buckets: append(spare, wire...)}
	}
}

// rate returns the growth of a sum per second; ok is false if nothing is known to count from.
func (s *series) rate() (perSecond float64, ok bool) {
	elapsed := time.Duration(s.at - s.older.at).Seconds()
	if elapsed <= 0 {
		return 0, false
	}
	return max(0, s.value-s.older.value) / elapsed, true
}

// size is how much memory the series takes, about.
func (s *series) size() int64 {
	return int64(seriesSize + cap(s.attributes) + cap(s.buckets) + cap(s.older.buckets) + cap(s.newer.buckets))
}

// seriesSize is what every series takes, with its places in a map and in a pool.
const seriesSize = int(unsafe.Sizeof(series{})) + 48

// role is what a series of a pool means for its figures.
type role uint8

const (
	other role = iota
	limitRole
	usedRole
	idleRole
	constructingRole
	pendingRole
	pendingLimitRole
	oldestRole
	acquiredRole
	notServedRole
	waitRole
	useRole
	waitsRole
	waitTimeRole
	failedRole
	onCPURole
	runQueueRole
	blockedRole
	useTimeRole
	okRole
	notMadeRole
	heldBackRole
	verdictRole
	canceledRole
	oldestUseRole
	roles
)

// plainRoles are those of metrics, and states those of the values of the attribute that tells
// series of one metric apart.
var (
	plainRoles = map[*catalog.Metric]role{
		catalog.PoolLimit:        limitRole,
		catalog.PoolPending:      pendingRole,
		catalog.PoolPendingLimit: pendingLimitRole,
		catalog.PoolPendingAge:   oldestRole,
		catalog.PoolUseAge:       oldestUseRole,
		catalog.PoolUseTime:      useTimeRole,
		catalog.PoolHeldBackTime: heldBackRole,
		catalog.PoolVerdict:      verdictRole,
		catalog.PoolWaitDuration: waitRole,
		catalog.PoolUseDuration:  useRole,
		catalog.PoolWaits:        waitsRole,
		catalog.PoolWaitTime:     waitTimeRole,
	}
	states = map[*catalog.Metric]map[string]role{
		catalog.PoolUsage: {"used": usedRole, "idle": idleRole, "constructing": constructingRole},
		catalog.PoolRequests: {
			"acquired": acquiredRole,
			"rejected": notServedRole,
			"canceled": canceledRole,
			"timeout":  notServedRole,
		},
		catalog.PoolCompleted:  {"ok": okRole, "error": failedRole, "panic": failedRole, "exit": failedRole},
		catalog.PoolResources:  {"create_failed": notMadeRole},
		catalog.PoolUseCPUTime: {"on_cpu": onCPURole, "run_queue": runQueueRole, "blocked": blockedRole},
	}
)

// roleOf returns the role of a series of a metric, by the values of its attributes.
func (s *series) roleOf(m *catalog.Metric) (r role) {
	of, several := states[m]
	if !several {
		return plainRoles[m]
	}
	s.eachAttribute(func(key, value []byte) {
		if k := string(
			key,
		); k == string(catalog.PoolStateKey) || k == string(catalog.PoolOutcomeKey) ||
			k == string(catalog.PoolEventKey) {
			r = of[string(value)]
		}
	})
	return r
}

// eachAttribute calls f with the key of each attribute and its value, if that is a string.
func (s *series) eachAttribute(f func(key, value []byte)) {
	for rest := s.attributes; len(rest) > 0; {
		kv, n := protowire.ConsumeBytes(rest)
		f(otlp.Attribute(kv))
		rest = rest[n:]
	}
}
