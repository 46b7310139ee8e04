package instrument

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// ScopeName is the name of the instrumentation scope of all pools.
const ScopeName = "github.com/poolgauge/poolgauge/instrument"

// ErrNameInUse is wrapped by the error for a second live pool of one name.
var ErrNameInUse = errors.New("a live pool has this name: close it first or choose another")

// maxName bounds the names of pools and kinds, in bytes.
const maxName = 128

// live holds the pools of the process, and who reads them.
var live struct {
	mu      sync.Mutex
	pools   []*Registration // by name
	readers []*Reader
}

// Registration is a pool that is being reported. Close it with the pool.
type Registration struct {
	name  string
	stats func() Stats
	base  []attribute.KeyValue
	given []attribute.KeyValue // by the program
	start time.Time
	api   *fallback

	convention Convention // none if it has no Points

	mu     sync.Mutex // held while stats runs; guards what follows
	closed bool
	sets   map[labels]attribute.Set
	wider  map[attribute.Distinct]attribute.Set // of the convention, with what was given
}

// Observe reports a pool under a name, which must be unique among the live pools of the process, and a kind: worker, resource,
// semaphore, group, or what was wrapped. Each has 1 to 128 bytes. From then on every collection calls stats once, in the goroutine
// that collects and never concurrently with itself, so a pool calls Observe when it is ready for that. What stats returns must
// belong to one moment; see [Stats]. If it panics, the error goes to [otel.Handle] and the pool is left out of that collection.
//
// The pool is reported through the open [Reader] if there is one, as there is with the Producer of instrument/producer, and
// through its MeterProvider otherwise; never through both. Observe starts no goroutine. It takes about 50 µs and some KiB: it is
// for pools that live long, not for one per request.
func Observe(name, kind string, stats func() Stats, opts ...Option) (*Registration, error) {
	s := settingsOf(opts)
	if s.mode == never {
		return &Registration{closed: true}, nil
	}
	r := &Registration{name: name, stats: stats, start: time.Now(), sets: map[labels]attribute.Set{}, given: s.attributes}
	if s.conventions {
		r.convention, r.wider = s.convention, map[attribute.Distinct]attribute.Set{}
	}
	r.base = append(slices.Clip(s.attributes), catalog.PoolNameKey.String(name), catalog.PoolKindKey.String(kind))
	err := errors.Join(check("name", name), check("kind", kind))
	if stats == nil {
		err = errors.Join(err, errors.New("stats is nil: want the function that returns them"))
	}
	if err == nil {
		err = r.enlist()
	}
	if err == nil {
		if r.api, err = newFallback(s.provider, r); err != nil {
			r.delist(nil)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("observe %s pool %q: %w", kind, name, err)
	}
	return r, nil
}

func check(what, s string) error {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) {
		return fmt.Errorf("%s %q: want 1 to %d bytes of UTF-8", what, s, maxName)
	}
	return nil
}

func (r *Registration) enlist() error {
	live.mu.Lock()
	defer live.mu.Unlock()
	i, taken := slices.BinarySearchFunc(live.pools, r.name, byName)
	if taken {
		return ErrNameInUse
	}
	live.pools = slices.Insert(live.pools, i, r)
	for _, reader := range live.readers {
		delete(reader.ended, r.name) // one collection cannot tell of two pools of one name
	}
	return nil
}

// delist frees the name and leaves the readers the last points. No other pool can have taken the name, since r is listed until now.
func (r *Registration) delist(last []Point) {
	live.mu.Lock()
	defer live.mu.Unlock()
	i, _ := slices.BinarySearchFunc(live.pools, r.name, byName)
	live.pools = slices.Delete(live.pools, i, i+1)
	if len(last) == 0 {
		return
	}
	for _, reader := range live.readers {
		reader.ended[r.name] = last
	}
}

func byName(r *Registration, name string) int {
	return strings.Compare(r.name, name)
}

// Close ends the report of the pool and frees its name. While a [Reader] is open, stats is called a last time, and the next collection
// reports what it returned; through a MeterProvider, what happened since the last collection is not reported. When Close returns,
// stats is not running and will not be called again; so Close must not be called from stats, nor with a lock that stats takes.
// Further calls do nothing.
func (r *Registration) Close() {
	r.mu.Lock()
	wasClosed := r.closed
	var last []Point
	if !wasClosed && hasReader() {
		last = r.readLocked(nil)
	}
	r.closed = true
	r.mu.Unlock()
	if wasClosed {
		return
	}
	r.delist(last)
	if err := r.api.unregister(); err != nil {
		otel.Handle(fmt.Errorf("close pool %q: %w", r.name, err))
	}
}

// read calls stats once and appends what there is to report to a slice.
func (r *Registration) read(to []Point) []Point {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return to
	}
	return r.readLocked(to)
}

// readLocked is read, for a caller that holds r.mu.
func (r *Registration) readLocked(to []Point) (points []Point) {
	defer func() {
		if v := recover(); v != nil {
			otel.Handle(fmt.Errorf("pool %q is left out of this collection: its stats panicked: %v", r.name, v))
			points = to
		}
	}()
	s := r.stats()
	points = to
	s.points(func(m *catalog.Metric, l labels, p Point) {
		p.Metric, p.Start, p.Attributes = m, r.start, r.set(l)
		points = append(points, p)
	})
	return r.conventional(&s, points)
}

// set returns the attributes of the pool with l, which it builds once. Caller must hold r.mu.
func (r *Registration) set(l labels) attribute.Set {
	s, known := r.sets[l]
	if !known {
		kv := slices.Clone(r.base)
		for _, a := range l {
			if a.value != "" {
				kv = append(kv, a.key.String(a.value))
			}
		}
		s = attribute.NewSet(kv...)
		r.sets[l] = s
	}
	return s
}
