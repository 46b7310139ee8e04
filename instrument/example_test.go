package instrument_test

import (
	"fmt"
	"sync"

	"github.com/poolgauge/poolgauge/instrument"
)

// Desks is the simplest possible pool: requests beyond the limit are rejected.
type Desks struct {
	reg *instrument.Registration

	mu       sync.Mutex // guards everything below
	limit    int64
	acquired int64
	rejected int64
	left     int64
}

func NewDesks(name string, limit int64, opts ...instrument.Option) (*Desks, error) {
	d := &Desks{limit: limit}
	var err error
	d.reg, err = instrument.Observe(name, "desk", d.Stats, opts...)
	return d, err
}

func (d *Desks) TrySit() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.acquired-d.left == d.limit {
		d.rejected++
		return false
	}
	d.acquired++
	return true
}

func (d *Desks) Leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left++
}

func (d *Desks) Stats() (s instrument.Stats) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Limit = instrument.Some(d.limit)
	s.Usage[instrument.Used] = instrument.Some(d.acquired - d.left)
	s.Requests[instrument.Acquired] = instrument.Some(d.acquired)
	s.Requests[instrument.Rejected] = instrument.Some(d.rejected)
	s.Completed[instrument.OK] = instrument.Some(d.left)
	s.Wait[instrument.Acquired] = new(instrument.Histogram)
	s.Wait[instrument.Acquired].RecordN(0, uint64(d.acquired)) // acquired requests never wait
	return s
}

func (d *Desks) Close() { d.reg.Close() }

func ExampleObserve() {
	desks, err := NewDesks("reading room", 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer desks.Close()
	for range 3 {
		desks.TrySit()
	}
	desks.Leave()

	reader := instrument.OpenReader() // the Producer of instrument/producer has one
	defer reader.Close()
	for p := range reader.Points() {
		if p.Metric.Name == "poolgauge.pool.usage" || p.Metric.Name == "poolgauge.pool.requests" {
			outcome, _ := p.Attributes.Value("poolgauge.pool.outcome")
			fmt.Println(p.Metric.Name, outcome.String(), p.Int)
		}
	}
	// Output:
	// poolgauge.pool.usage  1
	// poolgauge.pool.requests acquired 2
	// poolgauge.pool.requests rejected 1
}
