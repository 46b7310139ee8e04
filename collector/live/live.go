// Package live keeps what the sidecar has seen: the newest point of each series, and 15 minutes of
// history of the figures that are shown, in bounded memory.
//
// The points of apps come from [Live.Offer], which reads the metrics of the catalogue from an
// accepted request and skips the rest, and the sidecar's own from [Live.Collect]. [Live.Picture] is
// the one thing that the summary, the page, /api, /metrics and a terminal read.
package live

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Config configures a [Live]. The zero Config has the defaults.
type Config struct {
	Limit    int64  // bytes of the picture, about; 0: 4 MiB
	Service  string // the name of the sidecar, in [Picture.Service]
	Upstream string // the endpoint, in [Pipeline.Upstream]

	// Neighbor returns the id of the one container beside the sidecar's, "" if that is not known.
	// Collect calls it. It may be nil.
	Neighbor func() string
}

const defaultLimit = 4 << 20

// Live keeps the picture. Its methods may be called at the same time; none waits for anything but a
// short computation.
type Live struct {
	cfg     Config
	refused atomic.Int64

	mu         sync.Mutex // guards everything below
	apps       map[uint64]*app
	pools      map[string]*pool
	used       int64  // bytes
	count      int64  // series
	generation uint32 // of requests, modulo 2^32
	begin      time.Time
	slot       time.Duration // of all tracks
	work       workspace
	touched    []*pool // by the request at hand
	course     track   // of the machine
	own        *metricdata.ResourceMetrics
	machine    machine
	changed    chan struct{}
}

// New returns an empty picture.
func New(cfg Config) *Live {
	if cfg.Limit == 0 {
		cfg.Limit = defaultLimit
	}
	return &Live{
		cfg: cfg, apps: map[uint64]*app{}, pools: map[string]*pool{}, begin: time.Now(), slot: time.Second,
		machine: newMachine(), course: newTrack(courses), changed: make(chan struct{}),
	}
}

// Changed returns a channel that is closed when the picture next changes.
func (l *Live) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// notify wakes those that wait for a change. Caller must hold mu.
func (l *Live) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// now returns the slot of the present, and makes slots coarse when they are used up. Caller must
// hold mu.
func (l *Live) now() int64 {
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

// Collect records a collection of the sidecar's own metrics, which must not change afterwards. It is
// a sink of the sampler.
func (l *Live) Collect(rm *metricdata.ResourceMetrics) {
	app := ""
	if l.cfg.Neighbor != nil {
		app = l.cfg.Neighbor()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own = rm
	l.machine.advance(rm, app)
	l.course.put(l.now(), l.machine.course())
	l.prune(time.Now())
	l.notify()
}

// Own returns the last collection of the sidecar's own metrics, nil before the first. It must not be
// changed.
func (l *Live) Own() *metricdata.ResourceMetrics {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own
}

// Picture returns the picture of now.
func (l *Live) Picture() *Picture {
	p := &Picture{}
	l.Read(p)
	return p
}

// Read replaces p with the picture of now, in the memory that p has: what p had is no longer valid.
func (l *Live) Read(p *Picture) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, slot := time.Now(), l.now()
	pools, unsorted, course := p.Pools[:0], p.unsorted[:0], p.Course
	*p = Picture{
		At: now, Service: l.cfg.Service, Step: l.slot.Seconds() * slots / SparkColumns,
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
	order := make([]*Pool, len(unsorted)) // a Pool is too large to be moved about
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
}

// Memory returns how much the picture holds.
func (l *Live) Memory() Memory {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Memory{Used: l.used, Limit: l.cfg.Limit, Series: l.count, Refused: l.refused.Load()}
}
