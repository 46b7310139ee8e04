package instrument

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// ScopeName is the name of the instrumentation scope of all pools.
const ScopeName = "github.com/poolgauge/poolgauge/instrument"

// ErrNameInUse is wrapped by the error that Observe returns if a live pool has the same name.
var ErrNameInUse = errors.New(
	"a live pool already has this name: close that pool first, choose another name, or use WithReplace",
)

const (
	// maxName is the maximum length of a pool's name and kind, in bytes.
	maxName = 128
	// endedFor is how long the last values of a closed pool are reported, so that every reader
	// collects them.
	endedFor = 2 * time.Minute
	// maxEnded is the maximum number of closed pools that are reported.
	maxEnded = 1000
)

// live holds the pools of the process and their readers.
var live struct {
	mu      sync.Mutex
	pools   []*Registration // sorted by name
	readers []*Reader
}

// Registration represents a pool that is being reported. Close it when the pool is closed.
type Registration struct {
	name     string
	stats    func() Stats
	base     []attribute.KeyValue
	given    []attribute.KeyValue // attributes given to WithAttributes
	start    time.Time
	provider metric.MeterProvider // nil means the global MeterProvider
	// nil if no MeterProvider reports the pool; read with live.mu or fallbackSet.mu held, written
	// with both held
	fallback *fallback
	detached bool // the pool must not be attached to a fallback again; guarded by fallbackSet.mu

	convention  Convention   // none if Points is nil
	holderLog   *slog.Logger // nil means slog.Default
	noHolderLog bool

	mu      sync.Mutex // held while stats runs; guards everything below
	closed  bool
	last    Stats     // the last Stats of a closed pool
	endedAt time.Time // when the pool was closed
	holders holderWatch
	sets    []labelSet // cached results of set
	// cached results of withGiven, by its argument; nil without semantic-convention metrics
	conventionSets map[attribute.Distinct]attribute.Set
}

// labelSet is the attribute set of a pool, or of a part of one, with labels added.
type labelSet struct {
	labels labels
	part   attribute.Distinct
	set    attribute.Set
}

// Observe starts reporting metrics for a pool under name, which must be unique among the live pools
// of the process. kind is worker, resource, semaphore, group, or the name of the wrapped package or
// type. Name and kind must have 1 to 128 bytes each.
//
// From then on every collection calls stats once, in the collecting goroutine. Calls are never
// concurrent. A collection may call stats before Observe returns, so the pool must be ready for it.
// The result of stats must be a consistent snapshot; see [Stats]. If stats panics, an error is
// passed to [otel.Handle] and the pool is omitted from that collection.
//
// The pool is reported through the open [Reader], such as the one in a Producer of
// instrument/producer. If no Reader is open, it is reported through its MeterProvider. It is never
// reported through both. Observe starts no goroutine. It takes about 1 µs, and 50 µs for a
// MeterProvider's first pool.
func Observe(name, kind string, stats func() Stats, opts ...Option) (*Registration, error) {
	s := settingsOf(opts)
	if s.timing.Off {
		return &Registration{closed: true}, nil
	}
	r := &Registration{
		name: name, stats: stats, start: time.Now(), given: s.attributes, provider: s.provider,
		holderLog: s.holderLog, noHolderLog: s.noHolderLog,
	}
	if s.conventions {
		r.convention, r.conventionSets = s.convention, map[attribute.Distinct]attribute.Set{}
	}
	r.base = append(slices.Clip(s.attributes), catalog.PoolNameKey.String(name), catalog.PoolKindKey.String(kind))
	err := errors.Join(check("name", name), check("kind", kind))
	if stats == nil {
		err = errors.Join(err, errors.New("stats is nil, expected a function"))
	}
	if err == nil {
		err = r.register(s.replace)
	}
	if err == nil && !hasReader() {
		if err = fallbacks.attach(r); err != nil {
			r.unregister()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("observe %s pool %q: %w", kind, name, err)
	}
	return r, nil
}

func check(what, s string) error {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) {
		return fmt.Errorf("%s is %q, expected 1 to %d bytes of UTF-8", what, s, maxName)
	}
	return nil
}

// register adds r to the live pools. If a live pool has the same name, r replaces it if replace is
// true; otherwise register returns ErrNameInUse.
func (r *Registration) register(replace bool) error {
	live.mu.Lock()
	defer live.mu.Unlock()
	i, taken := slices.BinarySearchFunc(live.pools, r.name, byName)
	switch {
	case !taken:
		live.pools = slices.Insert(live.pools, i, r)
	case replace:
		live.pools[i] = r
	default:
		return ErrNameInUse
	}
	return nil
}

// unregister removes r from the live pools, which frees its name. It returns false if another pool
// has taken over the name.
func (r *Registration) unregister() bool {
	live.mu.Lock()
	defer live.mu.Unlock()
	i, found := slices.BinarySearchFunc(live.pools, r.name, byName)
	if !found || live.pools[i] != r {
		return false
	}
	live.pools = slices.Delete(live.pools, i, i+1)
	return true
}

func byName(r *Registration, name string) int {
	return strings.Compare(r.name, name)
}

// Close stops reporting the pool and frees its name. It calls stats one last time, and the result
// is reported for another two minutes, so that every reader collects it. When Close returns, stats
// is not running and will not be called again. Therefore, Close must not be called from stats, nor
// while holding a lock that stats takes. Further calls do nothing.
func (r *Registration) Close() {
	if r.end() {
		fallbacks.detach(r) // without r.mu held: a MeterProvider may be collecting
	}
}

// end does what Close does, except for detaching the pool from its MeterProvider. It returns false
// if the pool was already closed.
func (r *Registration) end() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	last, ok := r.callStats()
	r.closed, r.endedAt = true, time.Now()
	r.stats = nil // lets the garbage collector free the pool
	if r.unregister() && ok {
		r.last = last
		r.keepReporting()
	}
	return true
}

// keepReporting adds r to the ended pools of every open Reader or, if there is none, of r's
// fallback, so that r's last values are reported.
func (r *Registration) keepReporting() {
	live.mu.Lock()
	defer live.mu.Unlock()
	for _, reader := range live.readers {
		reader.ended.add(r)
	}
	if len(live.readers) == 0 && r.fallback != nil {
		r.fallback.ended.add(r)
	}
}

// ended holds the pools that were closed within the last endedFor, oldest first. live.mu guards it.
type ended []*Registration

func (e *ended) add(r *Registration) {
	e.drop(r.endedAt)
	*e = append(*e, r)
}

// drop removes pools that were closed more than endedFor before now, and makes room for one more
// pool.
func (e *ended) drop(now time.Time) {
	n := 0
	for n < len(*e) && (now.Sub((*e)[n].endedAt) > endedFor || len(*e)-n >= maxEnded) {
		n++
	}
	clear((*e)[:n]) // lets the garbage collector free them
	*e = (*e)[n:]
}

// appendTo returns pools followed by the ended pools, latest first. It omits an ended pool if its
// name belongs to a live pool or to one that ended later, since a collection must not report two
// pools with the same name.
func (e *ended) appendTo(pools []*Registration) []*Registration {
	e.drop(time.Now())
	names := map[string]bool{}
	all := slices.Clone(pools)
	for _, r := range slices.Backward(*e) {
		_, taken := slices.BinarySearchFunc(live.pools, r.name, byName)
		if !taken && !names[r.name] {
			names[r.name] = true
			all = append(all, r)
		}
	}
	return all
}

// Stats returns the pool's current Stats, or its last Stats if it is closed, for example for a log
// line, a test or a status page. For a pool created [WithoutTelemetry], it returns empty Stats.
// Stats must not be called from the pool's own stats function.
func (r *Registration) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return r.last
	}
	s, _ := r.callStats()
	return s
}

// callStats calls stats and recovers from a panic. Caller must hold r.mu.
func (r *Registration) callStats() (s Stats, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			otel.Handle(fmt.Errorf("pool %q is omitted from this collection: stats panicked: %v", r.name, v))
			s, ok = Stats{}, false
		}
	}()
	return r.stats(), true
}

// read calls stats once, appends the resulting points to buf, and returns the result. If judge is
// not nil, it adds verdicts. It logs the holders if a warning is due.
func (r *Registration) read(buf []Point, judge Judge) []Point {
	s, points, warn := r.readLocked(buf, judge)
	if warn {
		r.logHolders(&s)
	}
	return points
}

// readLocked is the part of read that holds r.mu, which it locks itself. warn reports whether the
// caller must log the holders, which requires that no lock is held.
func (r *Registration) readLocked(buf []Point, judge Judge) (s Stats, points []Point, warn bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.last, true
	if r.closed {
		judge = nil // a closed pool gets no new verdict
	} else {
		s, ok = r.callStats()
	}
	if !ok {
		return s, buf, false
	}
	points = buf
	if len(s.Parts) == 0 {
		points = r.pointsOf(&s, attribute.Set{}, judge, points)
	}
	for i := range s.Parts {
		points = r.pointsOf(&s.Parts[i].Stats, attribute.NewSet(s.Parts[i].Attributes...), judge, points)
	}
	points = r.appendConventionPoints(&s, points)
	warn = !r.closed && !r.noHolderLog && r.holders.isDue(&s, time.Now())
	return s, points, warn
}

// pointsOf appends the points of the pool, or of the given part of it, to points. A pool whose
// Stats have no values gets no verdict, since all of its values may be in parts that do not exist
// yet. Caller must hold r.mu.
func (r *Registration) pointsOf(s *Stats, part attribute.Set, judge Judge, points []Point) []Point {
	add := func(m *catalog.Metric, l labels, p Point) {
		p.Metric, p.Start, p.Attributes = m, r.start, r.set(l, part)
		points = append(points, p)
	}
	before := len(points)
	s.points(add)
	if judge != nil && len(points) > before {
		limit := judge(r.set(labels{}, part), s, func(v fmt.Stringer, holds bool) {
			p := Point{}
			if holds {
				p.Int = 1
			}
			add(catalog.PoolVerdict, label(catalog.PoolVerdict, v), p)
		})
		if n, ok := limit.Get(); ok {
			add(catalog.PoolLimitRecommended, labels{}, Point{Int: n})
		}
	}
	return points
}

// set returns the attributes of the pool, or of the given part of it, together with l. It caches
// each result. Caller must hold r.mu.
func (r *Registration) set(l labels, part attribute.Set) attribute.Set {
	for i := range r.sets {
		if r.sets[i].labels == l && r.sets[i].part == part.Equivalent() {
			return r.sets[i].set
		}
	}
	kv := append(slices.Clone(r.base), part.ToSlice()...)
	for _, a := range l {
		if a.value != "" {
			kv = append(kv, a.key.String(a.value))
		}
	}
	s := attribute.NewSet(kv...)
	r.sets = append(r.sets, labelSet{l, part.Equivalent(), s})
	return s
}
