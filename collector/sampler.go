package collector

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Sink is called with every collection, in order and from one goroutine. It must not block and must
// not modify the collection.
type Sink func(*metricdata.ResourceMetrics)

// Sampler collects from an OpenTelemetry reader at a fixed interval. Each point has the time of its
// collection.
type Sampler struct {
	reader   *sdkmetric.ManualReader
	interval time.Duration
	sinks    []Sink
	begin    time.Time
	last     atomic.Int64 // nanoseconds from begin to the end of the last collection
}

// NewSampler returns a Sampler that passes each collection of reader to all sinks. The interval
// must be positive.
func NewSampler(reader *sdkmetric.ManualReader, interval time.Duration, sinks ...Sink) *Sampler {
	return &Sampler{reader: reader, interval: interval, sinks: sinks, begin: time.Now()}
}

// Run collects immediately, then once per interval until ctx is done, and then one last time, so
// that the final values are exported too. A collection that takes longer than the interval delays
// the next one; two never overlap.
func (s *Sampler) Run(ctx context.Context) {
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	for {
		s.sample()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.sample()
			return
		}
	}
}

// Alive returns an error if no collection has finished for three intervals, or for 30 seconds if
// that is longer. It is safe for concurrent use.
func (s *Sampler) Alive() error {
	since := time.Since(s.begin) - time.Duration(s.last.Load())
	if since > max(3*s.interval, 30*time.Second) {
		return fmt.Errorf(
			"no metrics collection has finished for %v, expected one every %v",
			since.Round(time.Second),
			s.interval,
		)
	}
	return nil
}

func (s *Sampler) sample() {
	// Sinks may keep a collection, so its memory is not reused.
	rm := &metricdata.ResourceMetrics{}
	if err := s.reader.Collect(context.Background(), rm); err != nil {
		otel.Handle(err) // some producers failed; the points of the others are in rm
	}
	for _, sink := range s.sinks {
		sink(rm)
	}
	s.last.Store(int64(time.Since(s.begin)))
}
