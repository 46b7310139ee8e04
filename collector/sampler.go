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

// Sink is handed every collection, in order, from one goroutine. It must not block and must not
// change what it is given.
type Sink func(*metricdata.ResourceMetrics)

// Sampler collects from a reader at an interval. Points bear the time of their collection.
type Sampler struct {
	reader   *sdkmetric.ManualReader
	interval time.Duration
	sinks    []Sink
	begin    time.Time
	last     atomic.Int64 // nanoseconds from begin to the end of the last collection
}

// NewSampler returns a Sampler that hands each collection of reader to the sinks. The interval must
// be above 0.
func NewSampler(reader *sdkmetric.ManualReader, interval time.Duration, sinks ...Sink) *Sampler {
	return &Sampler{reader: reader, interval: interval, sinks: sinks, begin: time.Now()}
}

// Run collects at once, then at every interval until ctx is done, then once more, so that the last
// figures leave too. A collection that overruns its interval makes the next one late, never two at
// once.
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

// Alive returns an error if no collection ended for three intervals, and at least for half a
// minute. It may be called from anywhere.
func (s *Sampler) Alive() error {
	since := time.Since(s.begin) - time.Duration(s.last.Load())
	if since > max(3*s.interval, 30*time.Second) {
		return fmt.Errorf("no collection ended for %v", since.Round(time.Second))
	}
	return nil
}

func (s *Sampler) sample() {
	// Every collection is kept by the sinks, so each has memory of its own.
	rm := &metricdata.ResourceMetrics{}
	if err := s.reader.Collect(context.Background(), rm); err != nil {
		otel.Handle(err) // a part failed; the rest is there
	}
	for _, sink := range s.sinks {
		sink(rm)
	}
	s.last.Store(int64(time.Since(s.begin)))
}
