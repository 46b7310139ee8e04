package live

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// judgePool passes p's values and the machine's last window to p's judge, at most once per window.
func (l *Live) judgePool(p *pool) {
	if time.Unix(0, p.newest()).Sub(p.judge.Seen()) >= window {
		p.judge.See(p.figures(&l.work.now), l.machine.judge.Machine())
	}
}

// newest returns the time of the pool's newest point in nanoseconds since the Unix epoch.
func (p *pool) newest() (at int64) {
	for _, s := range p.series {
		if s.generation == p.generation && !s.delta {
			at = max(at, s.at)
		}
	}
	return at
}

// figures returns the pool's values for its judge. Pools of an app that sends deltas get no
// verdicts, because a lost delta would look like a restart of the pool.
func (p *pool) figures(w *otlp.Buckets) diagnose.Figures {
	var sums [numRoles]float64
	for i := range sums {
		sums[i] = math.NaN()
	}
	longest := math.NaN()
	for _, s := range p.series {
		if s.generation != p.generation || s.delta {
			continue
		}
		if s.role == useRole && otlp.ReadBuckets(s.histogramOf().now, s.kind, w) {
			longest = math.Max(orZero(longest), highest(w))
		}
		if s.role == waitRole && !s.has(catalog.PoolOutcomeKey, "acquired") {
			continue
		}
		if sums[s.role] != sums[s.role] {
			sums[s.role] = 0
		}
		sums[s.role] += s.value
	}
	f := diagnose.Figures{
		At:    time.Unix(0, p.newest()),
		Limit: sums[limitRole], Pending: sums[pendingRole], UseAge: sums[oldestUseRole],
		Served: sums[acquiredRole], Refused: sums[notServedRole],
		WaitTime: sums[waitRole], Ended: sums[okRole] + orZero(sums[failedRole]), Failed: sums[failedRole],
		NotMade: orZero(sums[createFailedRole]), UseTime: sums[useTimeRole], EndedTime: sums[useRole], Longest: longest,
		HeldBack: sums[heldBackRole], OnCPU: sums[onCPURole], RunQueue: sums[runQueueRole], Blocked: sums[blockedRole],
	}
	if waited := sums[waitTimeRole]; !math.IsNaN(waited) {
		f.WaitTime = waited
	}
	return f
}

// has reports whether s has an attribute with the given key and value.
func (s *series) has(key attribute.Key, value string) (has bool) {
	s.eachAttribute(func(k, v []byte) { has = has || string(k) == string(key) && string(v) == value })
	return has
}

// orZero returns v, or 0 if v is NaN. Some series are not reported while their value is 0.
func orZero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// explain sets the verdict of q. An app's own verdict takes precedence, because the app knows more
// about the pool, such as its locks and goroutines. The level of q must already be set. If the pool
// is leaking or failing, explain raises the level to Warning even if callers are still served.
func (p *pool) explain(q *Pool) {
	f := p.judge.Holds()
	if reported, ok := p.appVerdict(); ok && reported != diagnose.Undetermined && reported != f.Verdict {
		f = diagnose.Finding[diagnose.Verdict]{
			Verdict:  reported,
			Evidence: "reported by the app, based on its own measurements",
		}
	}
	// A verdict may outlast the condition it describes. A pool at a bad level cannot be oversized.
	oversized := f.Verdict == diagnose.Oversized && q.Level == Good
	if f.Verdict.Convicts() || oversized {
		q.Verdict, q.Evidence = words(f.Verdict.String()), []string{f.Evidence}
	}
	if q.Level == Good && (f.Verdict == diagnose.Leaking || f.Verdict == diagnose.Failing) {
		q.Level = Warning
	}
}

// appVerdict returns the verdict that the app itself reports, or false if it reports none.
func (p *pool) appVerdict() (verdict diagnose.Verdict, ok bool) {
	for _, s := range p.series {
		if s.role != verdictRole || s.generation != p.generation || s.value != 1 {
			continue
		}
		for v := range diagnose.Verdicts() {
			if s.has(catalog.VerdictKey, v.String()) {
				return v, true
			}
		}
	}
	return 0, false
}

// verdicts calls add with each verdict on the machine and on each pool, and with each pool's
// recommended limit. It skips pools that are silent or judged by their app.
func (l *Live) verdicts(add func(row *catalog.Metric, n int64, of ...attribute.KeyValue)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	verdict := func(row *catalog.Metric, v fmt.Stringer, holds bool, of ...attribute.KeyValue) {
		n := int64(0)
		if holds {
			n = 1
		}
		add(row, n, append(of[:len(of):len(of)], catalog.VerdictKey.String(v.String()))...)
	}
	for v, holds := range l.machine.judge.States() {
		verdict(catalog.HostVerdict, v, holds)
	}
	now := time.Now()
	for _, p := range l.pools {
		if _, ok := p.appVerdict(); ok || now.Sub(p.seen) > p.silentAfter() {
			continue
		}
		of := []attribute.KeyValue{catalog.PoolNameKey.String(p.name), catalog.PoolKindKey.String(p.kind)}
		if p.app.service != "" {
			of = append(of, semconv.ServiceName(p.app.service))
		}
		if p.app.instance != "" {
			of = append(of, semconv.ServiceInstanceID(p.app.instance))
		}
		for v, holds := range p.judge.States() {
			verdict(catalog.PoolVerdict, v, holds, of...)
		}
		if n := p.judge.Recommends(); n > 0 {
			add(catalog.PoolLimitRecommended, int64(n), of...)
		}
	}
}

// words returns value with spaces in place of underscores.
func words(value string) string { return strings.ReplaceAll(value, "_", " ") }

// figures returns the machine's values for its judge. Values of the app, such as its quota and the
// CPUs it uses, are available only if the sidecar can identify the app's container, or if there is
// a single process besides the sidecar's.
func (m *machine) figures(at time.Time) diagnose.HostFigures {
	f := diagnose.UnknownHost(at)
	sum := func(to *float64, row *catalog.Metric, with ...attribute.KeyValue) {
		if v, ok := m.view.value(row, with...); ok {
			*to = v
		}
	}
	some, memory := catalog.PressureKindKey.String("some"), catalog.PressureResourceKey.String("memory")
	sum(&f.CPUs, catalog.SystemCPULogicalCount)
	sum(&f.AllTime, catalog.SystemCPUTime)
	sum(&f.StealTime, catalog.SystemCPUTime, semconv.CPUModeSteal)
	sum(&f.MemoryStall, catalog.PressureStallTime, some, memory, catalog.PressureScopeKey.String("host"))
	if app, ok := m.appContainer(); ok {
		sum(&f.CPUs, catalog.CgroupCPULimit, app)
		sum(&f.BusyTime, catalog.ContainerCPUTime, app)
		sum(&f.Periods, catalog.CgroupCPUPeriods, app)
		sum(&f.Throttled, catalog.CgroupCPUThrottledPeriods, app)
		sum(&f.MemoryStall, catalog.PressureStallTime, some, memory, app)
	}
	if pid, ok := m.onlyOther(catalog.ProcessCPUTime, semconv.ProcessPIDKey); ok {
		sum(&f.BusyTime, catalog.ProcessCPUTime, pid)
		sum(&f.QueueTime, catalog.ProcessRunQueueTime, pid)
	}
	writes := []attribute.KeyValue{catalog.ProbeNameKey.String("disk"), catalog.ProbePhaseKey.String("sync")}
	if p, ok := total(m.view.now.of(catalog.ProbeDuration.Name), writes); ok {
		f.Writes, f.WriteTime = float64(p.count), p.value
	}
	if p, ok := total(m.view.now.of(catalog.ProbeCPUStretch.Name), nil); ok {
		f.Computes, f.Stretch = float64(p.count), p.value
	}
	return f
}

// appContainer returns the attribute that identifies the app's container, or false if the container
// is unknown. It is known if m.app is set, if only one container is visible, or if only one is
// visible besides the sidecar's.
func (m *machine) appContainer() (of attribute.KeyValue, ok bool) {
	switch {
	case m.app != "":
		return semconv.ContainerID(m.app), true
	case len(m.shown.Containers) == 1:
		return catalog.CgroupPathKey.String(m.shown.Containers[0].Path), true
	}
	return m.onlyOther(catalog.ContainerCPUTime, semconv.ContainerIDKey)
}

// onlyOther returns the value of key in the points of row that are not about the sidecar itself. It
// returns false unless there is exactly one such value.
func (m *machine) onlyOther(row *catalog.Metric, key attribute.Key) (only attribute.KeyValue, ok bool) {
	self := semconv.ProcessPID(os.Getpid())
	own := map[attribute.Value]bool{self.Value: true}
	for _, p := range m.view.now.of(catalog.ProcessCPUTime.Name) {
		if id, in := p.attrs.Value(semconv.ContainerIDKey); in && has(p.attrs, []attribute.KeyValue{self}) {
			own[id] = true
		}
	}
	for _, p := range m.view.now.of(row.Name) {
		id, in := p.attrs.Value(semconv.ContainerIDKey)
		v, has := p.attrs.Value(key)
		if !has || own[v] || in && key != semconv.ProcessPIDKey && own[id] || only.Valid() && v == only.Value {
			continue
		}
		if only.Valid() {
			return only, false
		}
		only = attribute.KeyValue{Key: key, Value: v}
	}
	return only, only.Valid()
}

// highest returns the upper bound of the highest bucket that is not empty, or 0 if all are empty.
// The last explicit bucket has the upper bound +Inf.
func highest(b *otlp.Buckets) float64 {
	last := len(b.Counts) - 1
	for last >= 0 && b.Counts[last] == 0 {
		last--
	}
	switch {
	case last < 0:
		return 0
	case b.Bounds == nil:
		return math.Exp2(float64(int(b.Offset)+last+1) * math.Exp2(-float64(b.Scale)))
	case last < len(b.Bounds):
		return b.Bounds[last]
	}
	return math.Inf(1)
}
