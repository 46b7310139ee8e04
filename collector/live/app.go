package live

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// app is an application that sends metrics.
type app struct {
	key               uint64
	service, instance string
	resource          []byte // the newest resource received, in wire format
	series            map[uint64]*series
	seen              time.Time
}

// rows maps the names of the recorded metrics to their rows in the catalog.
var rows = func() map[string]*catalog.Metric {
	all := map[string]*catalog.Metric{}
	catalog.Each(func(_ *catalog.Group, m *catalog.Metric) { all[m.Name] = m })
	return all
}()

func wanted(name []byte) bool { return rows[string(name)] != nil }

// Offer records the catalog's metrics in data, an accepted ExportMetricsServiceRequest. It skips
// anything malformed and does not retain data.
func (l *Live) Offer(data []byte) {
	found := false
	_ = otlp.EachMetric(data, func(name []byte) bool { found = found || wanted(name); return false }, nil)
	if !found {
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.generation++
	l.touched = l.touched[:0]
	var a *app
	var last []byte
	// The receiver has already validated the request.
	_ = otlp.EachMetric(data, wanted, func(resource []byte, m *otlp.Metric) {
		if a == nil || !bytes.Equal(last, resource) {
			a, last = l.app(resource), resource
		}
		if a == nil {
			l.refused.Add(1)
			return
		}
		a.seen = now
		l.metric(a, m, now)
	})
	slot := l.currentSlot()
	for _, p := range l.touched {
		p.compute(&l.work)
		p.track.put(slot, p.now[:numTracked])
		l.judgePool(p)
	}
	l.notify()
}

// app returns the app identified by resource, creating it if necessary. It returns nil if there is
// no room for another app.
func (l *Live) app(resource []byte) *app {
	var a app
	var namespace, pid string
	otlp.EachAttribute(resource, func(key, value []byte) {
		switch string(key) {
		case "service.name":
			a.service = text(value)
		case "service.namespace":
			namespace = text(value)
		case "service.instance.id":
			a.instance = text(value)
		case "process.pid":
			pid = string(value)
		}
	})
	if namespace != "" {
		a.service = namespace + "/" + a.service
	}
	a.key = identity(a.service, a.instance, pid)
	known := l.apps[a.key]
	if room := l.cfg.Limit - l.used - appSize - int64(
		len(resource),
	); room < 0 &&
		(known == nil || len(resource) > len(known.resource)) {
		return known // there is no room for the changed resource
	}
	if known == nil {
		known = &a
		known.series = map[uint64]*series{}
		l.apps[a.key] = known
		l.used += appSize
	}
	if !bytes.Equal(known.resource, resource) {
		l.used += int64(len(resource) - len(known.resource))
		known.resource = slices.Clone(resource)
	}
	return known
}

// appSize is the approximate size in bytes of an app without its resource and series.
const appSize = int64(unsafe.Sizeof(app{})) + 512

// maxTextLen is the number of bytes after which a name is cut off.
const maxTextLen = 200

// text returns the first maxTextLen bytes of b as valid UTF-8. It replaces each run of invalid
// bytes with U+FFFD.
func text(b []byte) string {
	return strings.ToValidUTF8(string(b[:min(len(b), maxTextLen)]), "\uFFFD")
}

// metric records the points of m, a metric sent by a.
func (l *Live) metric(a *app, m *otlp.Metric, now time.Time) {
	row := rows[string(m.Name)]
	_ = m.EachPoint(&l.work.point, func(p *otlp.Point) {
		if p.Missing {
			return
		}
		s := l.series(a, row, m, p, now)
		if s == nil {
			l.refused.Add(1)
			return
		}
		if int64(p.Time) < min(s.at, now.UnixNano()) {
			return // older than the last point, so sent late from a backlog
		}
		before := s.size()
		s.setKind(m.Kind)
		l.used += s.size() - before
		l.point(s, m, p, now)
	})
}

// point records p, the newest point of the series s.
func (l *Live) point(s *series, m *otlp.Metric, p *otlp.Point, now time.Time) {
	l.work.wire = l.work.wire[:0]
	if m.Kind == otlp.HistogramPoints || m.Kind == otlp.ExponentialPoints {
		l.work.wire = p.AppendBuckets(l.work.wire, m.Kind)
		growth := copies * int64(len(l.work.wire)-cap(s.histogramOf().now))
		if len(l.work.wire) > maxWire || !l.hasRoom(growth, s.pool, now) {
			l.refused.Add(1)
			return
		}
		if s.role == waitRole {
			l.addWaits(s, p)
			l.recordLongestWait(s, m, p)
		}
	}
	if s.role == oldestUseRole {
		l.recordHolders(s.pool, m, p)
	}
	before := s.size()
	s.record(p, l.work.wire)
	l.used += s.size() - before
	s.generation = l.generation
	if owner := s.pool; owner != nil && owner.generation != l.generation {
		if !owner.seen.IsZero() {
			owner.interval = min(now.Sub(owner.seen), 5*time.Minute)
		}
		owner.generation, owner.seen = l.generation, now
		l.touched = append(l.touched, owner)
	}
}

// maxWire is the maximum size in bytes of a histogram point. It leaves room for 160 buckets, the
// default maximum in OpenTelemetry's SDKs.
const maxWire = 2 << 10

// copies is the number of points of a histogram that a series keeps. Room for all is counted from
// the first point on.
const copies = 3

// addWaits adds to the heatmap the waits in p, a new point of s, that are not in the last point.
func (l *Live) addWaits(s *series, p *otlp.Point) {
	w := &l.work
	before := s.histogramOf().now
	if s.delta || s.at == 0 || s.start != int64(p.Start) {
		before = nil
	}
	if s.at == 0 && int64(p.Time)-int64(p.Start) > int64(young) {
		return // the values may be older than the history
	}
	if !otlp.ReadBuckets(w.wire, s.kind, &w.now) || !w.readBefore(before, s.kind) {
		return
	}
	w.gained.cells = w.gained.cells[:0]
	w.gained.add(&w.now, &w.before)
	column := l.currentSlot() / heatSlots
	for _, c := range w.gained.cells {
		s.pool.waits.put(column, heatRow(c.middle()), c.n)
	}
}

// series returns the series that the point p belongs to, creating it if necessary. It returns nil
// if there is no room.
func (l *Live) series(a *app, row *catalog.Metric, m *otlp.Metric, p *otlp.Point, now time.Time) *series {
	var hash xxhash.Digest
	hash.Reset()
	_, _ = hash.WriteString(row.Name) // writing to a hash never fails
	for _, kv := range p.Attributes {
		_, _ = hash.Write(kv)
	}
	key := hash.Sum64()
	if s := a.series[key]; s != nil {
		return s
	}
	s := &series{key: key, metric: row, delta: m.Delta, monotonic: m.Monotonic}
	var name, kind []byte
	for _, kv := range p.Attributes {
		switch k, v := otlp.Attribute(kv); string(k) {
		case string(catalog.PoolNameKey):
			name = v
		case string(catalog.PoolKindKey):
			kind = v
		default:
			s.attributes = protowire.AppendBytes(s.attributes, kv)
		}
	}
	s.attributes = slices.Clip(s.attributes)
	s.setKind(m.Kind)
	if !l.hasRoom(s.size(), nil, now) {
		return nil
	}
	if poolMetrics[row] {
		if s.pool = l.pool(a, name, kind, s.size(), now); s.pool == nil {
			return nil
		}
		s.role = s.roleOf(row)
		s.pool.series = append(s.pool.series, s)
	}
	a.series[key] = s
	l.used += s.size()
	l.count++
	return s
}

// poolMetrics is the set of the metrics about pools.
var poolMetrics = func() map[*catalog.Metric]bool {
	all := map[*catalog.Metric]bool{}
	for _, m := range catalog.Pool.Metrics {
		all[m] = true
	}
	return all
}()

// pool returns the app's pool with the given name and kind, creating it if necessary. It returns
// nil if there is no room for the pool and its first series, which occupies size bytes.
func (l *Live) pool(a *app, name, kind []byte, size int64, now time.Time) *pool {
	id := fmt.Sprintf("%016x", xxhash.Sum64String(fmt.Sprintf("%x\x00%s\x00%s", a.key, name, kind)))
	p := l.pools[id]
	if p == nil {
		if !l.hasRoom(poolSize+size, nil, now) {
			return nil
		}
		p = &pool{app: a, id: id, name: text(name), kind: text(kind), track: newTrack(numTracked)}
		l.pools[id] = p
		l.used += poolSize
	}
	return p
}

// poolSize is the approximate size in bytes of a pool, including its map entry and names but not
// its series.
const poolSize = int64(unsafe.Sizeof(pool{})) + numTracked*slots*int64(unsafe.Sizeof(absent)) + 160
