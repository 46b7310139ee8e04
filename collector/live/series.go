package live

import (
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// window is the minimum period that rates and quantiles cover. The actual period is less than two
// windows, unless the app's interval is longer.
const window = 9 * time.Second

// young is the maximum age of a new counter whose entire first value counts as an increase. The
// first value of an older counter is only a baseline.
const young = time.Minute

// series is one of the series of a catalog metric that an app sends.
type series struct {
	key        uint64 // in the app's map
	metric     *catalog.Metric
	pool       *pool // nil if the metric is not about a pool
	kind       otlp.MetricKind
	delta      bool
	monotonic  bool
	role       role
	generation uint32 // number of the last request with a point of the series
	attributes []byte // length-prefixed KeyValues in wire format, without those that identify the pool

	start, at int64 // nanoseconds since the Unix epoch
	value     float64
	older     mark // the baseline for rates, at least one window ago
	newer     mark
	histogram *histogram // nil if the series has numbers
}

// mark is an earlier point of a series.
type mark struct {
	at    int64
	value float64
}

// histogram holds the buckets of the newest point and of the marks of a series, in wire format.
type histogram struct{ now, older, newer []byte }

// set copies the given buckets, of which nil are none, to the marks of h.
func (h *histogram) set(older, newer []byte) {
	if h != nil {
		h.older, h.newer = append(h.older[:0], older...), append(h.newer[:0], newer...)
	}
}

// setKind sets the kind of the points of s, and forgets points of another kind.
func (s *series) setKind(kind otlp.MetricKind) {
	if s.kind == kind {
		return
	}
	s.kind, s.at = kind, 0
	if s.histogram == nil && (kind == otlp.HistogramPoints || kind == otlp.ExponentialPoints) {
		s.histogram = &histogram{}
	}
}

// histogramOf returns the buckets of s, which are empty if s has numbers.
func (s *series) histogramOf() histogram {
	if s.histogram == nil {
		return histogram{}
	}
	return *s.histogram
}

// record makes p the newest point of s. p must not be older than the last point, unless that was
// dated in the future: p is then like the first point. If p is a histogram point, wire holds its
// buckets, which record copies.
func (s *series) record(p *otlp.Point, wire []byte) {
	h := s.histogram
	if h != nil {
		h.now = append(h.now[:0], wire...)
	}
	start, at := int64(p.Start), int64(p.Time)
	first := s.at == 0 || at < s.at
	restarted := s.monotonic && p.Number < s.value || s.start != start
	s.start, s.at, s.value = start, at, p.Number
	switch {
	case s.delta:
		s.older = mark{at: start}
		h.set(nil, nil)
	case first && at-start > int64(young), (first || restarted) && start > at: // only a baseline
		s.older = mark{at: at, value: p.Number}
		s.newer = s.older
		h.set(wire, wire)
	case first, restarted && s.kind != otlp.GaugePoints:
		s.older = mark{at: start}
		s.newer = s.older
		h.set(nil, nil)
	}
	if !s.delta && at-s.newer.at >= int64(window) {
		s.older, s.newer = s.newer, mark{at: at, value: p.Number}
		if h != nil {
			h.older, h.newer = h.newer, h.older[:0]
			h.newer = append(h.newer, wire...)
		}
	}
}

// rate returns the increase per second of s, a sum. It returns false if no time has passed since
// the baseline.
func (s *series) rate() (perSecond float64, ok bool) {
	elapsed := time.Duration(s.at - s.older.at).Seconds()
	if elapsed <= 0 {
		return 0, false
	}
	return max(0, s.value-s.older.value) / elapsed, true
}

// size returns the approximate size of the series in bytes, once it has all copies of its buckets.
func (s *series) size() int64 {
	size := seriesSize + cap(s.attributes)
	if h := s.histogram; h != nil {
		size += int(unsafe.Sizeof(*h)) + max(cap(h.now)+cap(h.older)+cap(h.newer), copies*cap(h.now))
	}
	return int64(size)
}

// seriesSize is the approximate size in bytes of a series, including its entries in the app's map
// and the pool's list but not its attributes and buckets.
const seriesSize = int(unsafe.Sizeof(series{})) + 48

// role identifies the value of a pool to which a series contributes.
type role uint8

const (
	noRole role = iota
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
	createFailedRole
	heldBackRole
	verdictRole
	canceledRole
	oldestUseRole
	numRoles
)

// plainRoles maps each metric whose series all have the same role to that role. attributeRoles maps
// every other metric to its roles, by the value of the attribute that distinguishes its series.
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
	attributeRoles = map[*catalog.Metric]map[string]role{
		catalog.PoolUsage: {"used": usedRole, "idle": idleRole, "constructing": constructingRole},
		catalog.PoolRequests: {
			"acquired": acquiredRole,
			"rejected": notServedRole,
			"canceled": canceledRole,
			"timeout":  notServedRole,
		},
		catalog.PoolCompleted:  {"ok": okRole, "error": failedRole, "panic": failedRole, "exit": failedRole},
		catalog.PoolResources:  {"create_failed": createFailedRole},
		catalog.PoolUseCPUTime: {"on_cpu": onCPURole, "run_queue": runQueueRole, "blocked": blockedRole},
	}
)

// roleOf returns the role of s, a series of m, according to the attributes of s.
func (s *series) roleOf(m *catalog.Metric) (r role) {
	byValue, several := attributeRoles[m]
	if !several {
		return plainRoles[m]
	}
	s.eachAttribute(func(key, value []byte) {
		if k := string(
			key,
		); k == string(catalog.PoolStateKey) || k == string(catalog.PoolOutcomeKey) ||
			k == string(catalog.PoolEventKey) {
			r = byValue[string(value)]
		}
	})
	return r
}

// eachAttribute calls f with the key and value of each attribute, as returned by [otlp.Attribute].
func (s *series) eachAttribute(f func(key, value []byte)) {
	for rest := s.attributes; len(rest) > 0; {
		kv, n := protowire.ConsumeBytes(rest)
		f(otlp.Attribute(kv))
		rest = rest[n:]
	}
}
