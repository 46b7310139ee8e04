package instrument

import (
	"iter"
	"slices"
	"sync"
)

// Reader reads all pools of the process. While one is open no pool is reported through its MeterProvider, so that whoever opens
// a Reader must report what it reads. The Producer of instrument/producer is the usual one.
type Reader struct {
	close sync.Once
}

// OpenReader opens a Reader. It starts no goroutine.
func OpenReader() *Reader {
	addReaders(1)
	return new(Reader)
}

// Points yields every value of every pool that is live when it is called, the pools in the order of their names. Each pool is
// read once, and no lock is held while its points are yielded. It may be called concurrently.
func (*Reader) Points() iter.Seq[Point] {
	return func(yield func(Point) bool) {
		live.mu.Lock()
		pools := slices.Clone(live.pools)
		live.mu.Unlock()
		var points []Point
		for _, r := range pools {
			points = r.read(points[:0])
			for _, p := range points {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// Close gives the pools back to their MeterProviders. Further calls do nothing.
func (r *Reader) Close() {
	r.close.Do(func() { addReaders(-1) })
}

func addReaders(n int) {
	live.mu.Lock()
	defer live.mu.Unlock()
	live.readers += n
}

func hasReader() bool {
	live.mu.Lock()
	defer live.mu.Unlock()
	return live.readers > 0
}
