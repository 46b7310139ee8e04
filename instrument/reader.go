package instrument

import (
	"iter"
	"maps"
	"slices"
)

// Reader reads all pools of the process. While one is open no pool is reported through its MeterProvider, so that whoever opens
// a Reader must report what it reads. The Producer of instrument/producer is the usual one.
type Reader struct {
	ended map[string][]Point // the last points of pools that were closed since the last reading; guarded by live.mu
}

// OpenReader opens a Reader. It starts no goroutine.
func OpenReader() *Reader {
	r := &Reader{ended: map[string][]Point{}}
	live.mu.Lock()
	defer live.mu.Unlock()
	live.readers = append(live.readers, r)
	return r
}

// Points yields every value of every pool that is live when it is called, the pools in the order of their names, and then the last
// values of the pools that were closed since the Reader was last read, unless a live one has the name by now. Each pool is read
// once, and no lock is held while its points are yielded. It may be called concurrently.
func (r *Reader) Points() iter.Seq[Point] {
	return func(yield func(Point) bool) {
		pools, ended := r.take()
		var points []Point
		for _, pool := range pools {
			points = pool.read(points[:0])
			for _, p := range points {
				if !yield(p) {
					return
				}
			}
		}
		for _, p := range ended {
			if !yield(p) {
				return
			}
		}
	}
}

// take returns the live pools and, once, the last points of those that were closed.
func (r *Reader) take() (pools []*Registration, ended []Point) {
	live.mu.Lock()
	defer live.mu.Unlock()
	if !slices.Contains(live.readers, r) {
		return nil, nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.ended)) {
		ended = append(ended, r.ended[name]...)
	}
	clear(r.ended)
	return slices.Clone(live.pools), ended
}

// Close gives the pools back to their MeterProviders; from then on Points yields nothing, so that no pool is reported twice. Further calls
// do nothing.
func (r *Reader) Close() {
	live.mu.Lock()
	defer live.mu.Unlock()
	live.readers = slices.DeleteFunc(live.readers, func(other *Reader) bool { return other == r })
}

func hasReader() bool {
	live.mu.Lock()
	defer live.mu.Unlock()
	return len(live.readers) > 0
}
