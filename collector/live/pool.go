package live

import (
	"math"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/diagnose"
)

// Indices of a pool's values. Only those before numTracked have a history.
const (
	used = iota
	limit
	pending
	oldest
	waitP99
	useP50
	rate
	notServed
	numTracked
)

const (
	idle = numTracked + iota
	constructing
	pendingLimit
	waitP50
	waitP95
	useP95
	useP99
	meanWait
	meanUse
	failed
	onCPU
	runQueue
	blocked
	oldestUse
	numValues
)

// pool is one of an app's pools, with its series and the values computed from them.
type pool struct {
	app        *app
	id         string
	name, kind string
	series     []*series
	seen       time.Time // when the newest points arrived
	interval   time.Duration
	now        [numValues]float32 // NaN: absent
	generation uint32             // number of the last request with points of the pool
	track      track
	waits      heat
	examples   *examples // nil: none
	judge      diagnose.Judge
}

// gauges maps the role of a gauge to the index of the pool's value that is the gauge's value. The
// values of gauges with the same index are summed.
var gauges = map[role]int{
	limitRole:        limit,
	usedRole:         used,
	idleRole:         idle,
	constructingRole: constructing,
	pendingRole:      pending,
	pendingLimitRole: pendingLimit,
	oldestRole:       oldest,
	oldestUseRole:    oldestUse,
}

// rates maps a counter's role to the index in pool.now that holds its rate. If several counters
// share an index, their rates are summed.
var rates = map[role]int{
	acquiredRole:  rate,
	notServedRole: notServed,
	canceledRole:  notServed,
	failedRole:    failed,
	onCPURole:     onCPU,
	runQueueRole:  runQueue,
	blockedRole:   blocked,
}

// compute sets the pool's values according to its series. It ignores series without a point in the
// last request.
func (p *pool) compute(w *workspace) {
	for i := range p.now {
		p.now[i] = float32(math.NaN())
	}
	w.waits.cells, w.uses.cells = w.waits.cells[:0], w.uses.cells[:0]
	waited, waits, inUse := math.NaN(), math.NaN(), math.NaN()
	for _, s := range p.series {
		if s.generation != p.generation {
			continue // not in the last request
		}
		if i, ok := gauges[s.role]; ok {
			p.add(i, s.value)
			continue
		}
		perSecond, ok := s.rate()
		if i, is := rates[s.role]; is && ok {
			p.add(i, perSecond)
		}
		switch {
		case s.role == waitRole:
			w.add(&w.waits, s)
		case s.role == useRole:
			w.add(&w.uses, s)
		case s.role == waitTimeRole && ok:
			waited = perSecond
		case s.role == waitsRole && ok:
			waits = perSecond
		case s.role == useTimeRole && ok:
			inUse = perSecond
		}
	}
	p.set([3]int{waitP50, waitP95, waitP99}, &w.waits)
	p.set([3]int{useP50, useP95, useP99}, &w.uses)
	p.now[meanWait] = mean(waited, waits)
	if p.now[meanUse] = mean(inUse, float64(p.now[rate])); p.now[useP50] != p.now[useP50] {
		p.now[useP50] = p.now[meanUse] // the pool does not report how long each use lasts
	}
}

// mean returns sum ÷ n, or NaN if n is not positive. sum and n may be NaN.
func mean(sum, n float64) float32 {
	if n > 0 {
		return float32(sum / n)
	}
	return float32(math.NaN())
}

func (p *pool) add(i int, v float64) {
	if now := float64(p.now[i]); !math.IsNaN(now) {
		v += now
	}
	p.now[i] = float32(v)
}

func (p *pool) set(quantiles [3]int, s *spread) {
	p50, p95, p99 := s.quantiles()
	for i, v := range [3]float64{p50, p95, p99} {
		p.now[quantiles[i]] = float32(v)
	}
}

// workspace holds buffers that are reused for every request.
type workspace struct {
	waits, uses, gained spread
	now, before         otlp.Buckets
	wire                []byte
	point               otlp.Point
	exemplar            otlp.Exemplar
}

// add adds to dst the values that the histogram s gained in the last window.
func (w *workspace) add(dst *spread, s *series) {
	h := s.histogramOf()
	if otlp.ReadBuckets(h.now, s.kind, &w.now) && w.readBefore(h.older, s.kind) {
		dst.add(&w.now, &w.before)
	}
}

// readBefore decodes wire, the earlier buckets of a histogram, into w.before. If wire is empty,
// there were no earlier values. readBefore returns false if wire is malformed.
func (w *workspace) readBefore(wire []byte, kind otlp.MetricKind) bool {
	if len(wire) == 0 {
		w.before = otlp.Buckets{Bounds: w.before.Bounds[:0], Counts: w.before.Counts[:0]}
		return true
	}
	return otlp.ReadBuckets(wire, kind, &w.before)
}

// figure returns the value with index i.
func (p *pool) figure(i int) Figure { return Known(float64(p.now[i])) }

// silentAfter returns how long after the arrival of its newest points the pool counts as silent.
func (p *pool) silentAfter() time.Duration { return max(3*p.interval, 10*time.Second) + time.Second }

// picture returns the pool's entry in a [Picture] taken at the given time.
func (p *pool) picture(now time.Time) Pool {
	q := Pool{
		ID:           p.id,
		Name:         p.name,
		Kind:         p.kind,
		Service:      p.app.service,
		Instance:     p.app.instance,
		Seen:         p.seen,
		Limit:        p.figure(limit),
		Used:         p.figure(used),
		Idle:         p.figure(idle),
		Constructing: p.figure(constructing),
		Pending:      p.figure(pending),
		PendingLimit: p.figure(pendingLimit),
		OldestWait:   p.figure(oldest),
		OldestUse:    p.figure(oldestUse),
		Wait:         Quantiles{p.figure(waitP50), p.figure(waitP95), p.figure(waitP99)},
		Use:          Quantiles{p.figure(useP50), p.figure(useP95), p.figure(useP99)},
		MeanWait: p.figure(
			meanWait,
		),
		MeanUse:   p.figure(meanUse),
		Rate:      p.figure(rate),
		NotServed: p.figure(notServed),
		Failed:    p.figure(failed),
	}
	if q.Use.P95.IsZero() {
		q.Use.P50 = Figure{}
	}
	if total := p.figure(onCPU).Or(0) + p.figure(runQueue).Or(0) + p.figure(blocked).Or(0); total > 0 {
		q.OnCPU, q.RunQueue, q.Blocked = share(
			p.figure(onCPU),
			total,
		), share(
			p.figure(runQueue),
			total,
		), share(
			p.figure(blocked),
			total,
		)
	}
	if !q.OldestUse.IsZero() {
		q.Holders = p.holders() // shared, but never modified
	}
	q.LongestWait = p.longestWait()
	q.Level, q.Reason = level(&q)
	p.explain(&q)
	if now.Sub(p.seen) > p.silentAfter() {
		q.Level, q.Reason = Silent, "no data since "+p.seen.Format(time.TimeOnly)
	}
	return q
}

func share(f Figure, total float64) Figure { return f.Over(Known(total)) }
