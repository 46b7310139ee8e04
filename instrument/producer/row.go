package producer

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// row collects the points of one catalog.Metric.
type row interface {
	add(p instrument.Point, now time.Time)
	data() metricdata.Aggregation
	size() int
}

// newRow returns a row for m with capacity for size points.
func newRow(m *catalog.Metric, size int) row {
	switch {
	case m.Kind == catalog.Histogram:
		return &histograms{points: make([]metricdata.ExponentialHistogramDataPoint[float64], 0, size)}
	case m.Number == catalog.Int:
		return &numbers[int64]{
			metric: m,
			value:  func(p instrument.Point) int64 { return p.Int },
			points: make([]metricdata.DataPoint[int64], 0, size),
		}
	default:
		return &numbers[float64]{
			metric: m,
			value:  func(p instrument.Point) float64 { return p.Float },
			points: make([]metricdata.DataPoint[float64], 0, size),
		}
	}
}

// numbers collects the points of a sum or a gauge.
type numbers[N int64 | float64] struct {
	metric *catalog.Metric
	value  func(instrument.Point) N
	points []metricdata.DataPoint[N]
}

func (n *numbers[N]) add(p instrument.Point, now time.Time) {
	n.points = append(n.points, metricdata.DataPoint[N]{
		Attributes: p.Attributes,
		StartTime:  p.Start,
		Time:       now,
		Value:      n.value(p),
		Exemplars:  holderExemplars[N](p.Holders, now),
	})
}

func (n *numbers[N]) size() int { return len(n.points) }

func (n *numbers[N]) data() metricdata.Aggregation {
	if n.metric.Kind == catalog.Gauge {
		return metricdata.Gauge[N]{DataPoints: n.points}
	}
	return metricdata.Sum[N]{
		DataPoints:  n.points,
		Temporality: metricdata.CumulativeTemporality,
		IsMonotonic: n.metric.Kind == catalog.Counter,
	}
}

// histograms collects the points of a histogram.
type histograms struct {
	points []metricdata.ExponentialHistogramDataPoint[float64]
}

func (h *histograms) add(p instrument.Point, now time.Time) {
	h.points = append(h.points, metricdata.ExponentialHistogramDataPoint[float64]{
		Attributes:     p.Attributes,
		StartTime:      p.Start,
		Time:           now,
		Count:          p.Histogram.Count(),
		Sum:            p.Histogram.Sum(),
		Min:            metricdata.NewExtrema(p.Histogram.Min().Seconds()),
		Max:            metricdata.NewExtrema(p.Histogram.Max().Seconds()),
		Scale:          instrument.Scale,
		ZeroCount:      p.Histogram.Zeros(),
		PositiveBucket: buckets(p.Histogram),
		Exemplars:      waitExemplars(p.Exemplars),
	})
}

func (h *histograms) size() int { return len(h.points) }

func (h *histograms) data() metricdata.Aggregation {
	return metricdata.ExponentialHistogram[float64]{DataPoints: h.points, Temporality: metricdata.CumulativeTemporality}
}

// buckets returns the buckets of h as a dense range, from the first non-empty bucket to the last.
func buckets(h *instrument.Histogram) (b metricdata.ExponentialBucket) {
	first, last := math.MaxInt, math.MinInt
	for index := range h.Buckets() {
		first, last = min(first, index), index
	}
	if first > last {
		return b
	}
	b.Offset = int32(first)
	b.Counts = make([]uint64, last-first+1)
	for index, n := range h.Buckets() {
		b.Counts[index-first] = n
	}
	return b
}
