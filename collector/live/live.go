// Package live keeps, in bounded memory, what the sidecar has observed: the newest point of each
// series, and 15 minutes of history for the values that are charted.
//
// [Live.Offer] records the catalog's metrics from requests that apps sent, and [Live.Collect]
// records the sidecar's own metrics. The summary, the page, /api, /metrics and the terminal all
// show [Live.Picture].
package live

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Config configures a [Live]. The zero Config uses the defaults.
type Config struct {
	Limit    int64  // approximate memory in bytes; 0: 4 MiB
	Service  string // the sidecar's name, for [Picture.Service]
	Upstream string // endpoint, for [Pipeline.Upstream]

	// Neighbor returns the ID of the container that runs next to the sidecar's. It returns "" if
	// there is no such container, if there are several, or if the ID is unknown. Collect calls
	// Neighbor unless it is nil.
	Neighbor func() string
}

const defaultLimit = 4 << 20

// Live maintains a [Picture] of what the sidecar has observed. It is safe for concurrent use. Only
// the methods that access the disk, which are Save, Load and Keep, may block.
type Live struct {
	cfg     Config
	refused atomic.Int64

	mu         sync.Mutex // guards everything below
	apps       map[uint64]*app
	pools      map[string]*pool
	used       int64  // memory in bytes
	count      int64  // number of series
	generation uint32 // number of requests recorded so far, modulo 2^32
	full       uint32 // the last request for which makeRoom found no pool to forget
	begin      time.Time
	slot       time.Duration // duration of a slot in all tracks
	work       workspace
	touched    []*pool // pools with points in the current request
	course     track   // history of the machine
	own        *metricdata.ResourceMetrics
	machine    machine
	changed    chan struct{}
}

// New returns a Live with an empty picture.
func New(cfg Config) *Live {
	if cfg.Limit == 0 {
		cfg.Limit = defaultLimit
	}
	return &Live{
		cfg: cfg, apps: map[uint64]*app{}, pools: map[string]*pool{}, begin: time.Now(), slot: time.Second,
		machine: newMachine(), course: newTrack(numCourseRows), changed: make(chan struct{}),
	}
}

// Changed returns a channel that is closed the next time the picture changes.
func (l *Live) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// notify wakes all goroutines that are waiting for a change. Caller must hold mu.
func (l *Live) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// currentSlot returns the current slot. It switches to coarse slots when the fine slots are used
// up. Caller must hold mu.
func (l *Live) currentSlot() int64 {
	passed := max(0, time.Since(l.begin))
	if l.slot == time.Second && passed >= slots*time.Second {
		l.slot = coarse * time.Second
		for _, p := range l.pools {
			p.track.coarsen()
			p.waits.coarsen()
		}
		l.course.coarsen()
	}
	return int64(passed / l.slot)
}

// Collect records rm, a collection of the sidecar's own metrics. The caller must not modify rm
// afterward. The sidecar's sampler calls Collect for each collection.
func (l *Live) Collect(rm *metricdata.ResourceMetrics) {
	app := ""
	if l.cfg.Neighbor != nil {
		app = l.cfg.Neighbor()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own = rm
	l.machine.advance(rm, app)
	l.course.put(l.currentSlot(), l.machine.course())
	l.prune(time.Now())
	l.notify()
}

// Own returns the last collection of the sidecar's own metrics, or nil if there was none. The
// caller must not modify it.
func (l *Live) Own() *metricdata.ResourceMetrics {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own
}

// Picture returns the current picture.
func (l *Live) Picture() *Picture {
	p := &Picture{}
	l.Read(p)
	return p
}

// Read sets p to the current picture. It reuses the memory of p, whose previous content becomes
// invalid.
func (l *Live) Read(p *Picture) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, slot := time.Now(), l.currentSlot()
	pools, unsorted, course := p.Pools[:0], p.unsorted[:0], p.Course
	*p = Picture{
		At: now, Service: l.cfg.Service, Step: l.slot.Seconds() * slots / sparkColumns,
		Memory: Memory{Used: l.used, Limit: l.cfg.Limit, Series: l.count, Refused: l.refused.Load()},
	}
	l.machine.picture(p)
	p.Pipeline.Upstream = l.cfg.Upstream
	p.Course = Course{
		CPU: l.course.columns(course.CPU, courseCPU, slot), Memory: l.course.columns(course.Memory, courseMemory, slot),
		Throttled: l.course.columns(course.Throttled, courseThrottled, slot),
		Pressure:  l.course.columns(course.Pressure, coursePressure, slot),
	}
	for _, one := range l.pools {
		unsorted = append(unsorted, one.picture(now))
	}
	order := make([]*Pool, len(unsorted)) // pointers, so that sorting does not copy Pools
	for i := range unsorted {
		order[i] = &unsorted[i]
	}
	slices.SortFunc(order, worse)
	pools = slices.Grow(pools, len(order))[:len(order)]
	for i, q := range order {
		spark := pools[i].Spark
		pools[i] = *q
		pools[i].Spark = l.pools[q.ID].spark(spark, slot)
	}
	p.Pools, p.unsorted = pools, unsorted
	p.List = p.list()
}

// Memory returns how much memory the picture uses.
func (l *Live) Memory() Memory {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Memory{Used: l.used, Limit: l.cfg.Limit, Series: l.count, Refused: l.refused.Load()}
}
