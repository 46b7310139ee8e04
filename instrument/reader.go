package instrument

import (
	"fmt"
	"iter"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
)

// Reader reads all pools of the process. While a Reader is open, no pool is reported through its
// MeterProvider, so the code that opens a Reader must report the points that it reads. Most
// programs use the Producer of instrument/producer, which has a Reader.
type Reader struct {
	ended ended // pools that were closed while the Reader was open
}

// OpenReader opens a Reader. It starts no goroutine.
func OpenReader() *Reader {
	r := new(Reader)
	live.mu.Lock()
	defer live.mu.Unlock()
	live.readers = append(live.readers, r)
	return r
}

// Points yields every value of every live pool, in the order of the pools' names. It then yields
// the last values of pools that were closed during the last two minutes, unless a live pool has the
// same name. Each pool is read once, and no lock is held while its points are yielded. Points may
// be called concurrently.
func (r *Reader) Points() iter.Seq[Point] { return r.PointsWithVerdicts(nil) }

// Judge judges a pool, or a part of one, identified by the attributes in pool. It calls add with
// each verdict and whether that verdict holds. It returns the limit that it recommends, or an
// absent value for no recommendation. It must not retain s or anything that s points to.
type Judge func(pool attribute.Set, s *Stats, add func(verdict fmt.Stringer, holds bool)) (limit Optional[int64])

// PointsWithVerdicts is like [Reader.Points], and also yields judge's verdicts and recommended
// limit for each live pool.
func (r *Reader) PointsWithVerdicts(judge Judge) iter.Seq[Point] {
	return func(yield func(Point) bool) {
		var points []Point
		for _, pool := range r.pools() {
			points = pool.read(points[:0], judge)
			for _, p := range points {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// pools returns the live pools and the recently closed ones, or none if r is closed.
func (r *Reader) pools() []*Registration {
	live.mu.Lock()
	defer live.mu.Unlock()
	if !slices.Contains(live.readers, r) {
		return nil
	}
	return r.ended.appendTo(live.pools)
}

// Close closes the Reader. From then on, pools are reported through their MeterProviders again, and
// Points yields nothing, so that no pool is reported twice. Further calls do nothing.
func (r *Reader) Close() {
	live.mu.Lock()
	live.readers = slices.DeleteFunc(live.readers, func(other *Reader) bool { return other == r })
	var pools []*Registration
	if len(live.readers) == 0 {
		pools = slices.Clone(live.pools)
	}
	live.mu.Unlock()
	for _, pool := range pools {
		if err := fallbacks.attach(pool); err != nil {
			otel.Handle(fmt.Errorf("reporting pool %q through its MeterProvider: %w", pool.name, err))
		}
	}
}

func hasReader() bool {
	live.mu.Lock()
	defer live.mu.Unlock()
	return len(live.readers) > 0
}
