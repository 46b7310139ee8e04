package page

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/live"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// drawer draws requests of an app that gives its metrics arbitrary types, attributes and values.
type drawer struct {
	*rand.Rand
	now  uint64
	rows []*catalog.Metric
}

func newDrawer(seed uint64) *drawer {
	d := &drawer{Rand: rand.New(rand.NewPCG(seed, 0)), now: uint64(time.Now().UnixNano())}
	catalog.Each(func(_ *catalog.Group, m *catalog.Metric) { d.rows = append(d.rows, m) })
	return d
}

// one returns one of the values.
func one[T any](d *drawer, values ...T) T { return values[d.IntN(len(values))] }

func (d *drawer) float() float64 {
	return one(
		d,
		0,
		1,
		3,
		0.5,
		-1,
		1e300,
		-1e300,
		math.MaxFloat64,
		math.SmallestNonzeroFloat64,
		math.Inf(1),
		math.Inf(-1),
		math.NaN(),
	)
}

func (d *drawer) time() uint64 {
	return one(d, d.now, d.now, d.now-1e9, d.now-1e12, 0, 1, math.MaxInt64, math.MaxUint64)
}

func (d *drawer) counts() (counts []uint64, total uint64) {
	for range d.IntN(6) {
		counts = append(counts, one[uint64](d, 0, 1, 2, 5, 1<<40, math.MaxInt64, math.MaxUint64))
		total += counts[len(counts)-1]
	}
	return counts, one(d, total, total, total+1, 0)
}

func (d *drawer) attributes() (all []*commonpb.KeyValue) {
	keys := []string{"le", "__name__", "a.b", "a_b", "", "outcome", "job"}
	for range d.IntN(4) {
		all = append(all, &commonpb.KeyValue{Key: one(d, keys...), Value: one(
			d,
			&commonpb.AnyValue{
				Value: &commonpb.AnyValue_StringValue{StringValue: one(d, "", "x\n\"\\", "acquired", "\u2028")},
			},
			&commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: d.float()}},
			&commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: math.MinInt64}},
			&commonpb.AnyValue{},
			nil,
		)})
	}
	row := d.rows[d.IntN(len(d.rows))]
	for _, a := range row.Attributes {
		value := "x"
		if len(a.Values) > 0 {
			value = one(d, a.Values...)
		}
		all = append(all, text(string(a.Key), value))
	}
	if d.IntN(4) > 0 {
		all = append(all, text(string(catalog.PoolNameKey), one(d, "drawn", "orders", "", "x\n")))
	}
	return append(all, text(string(catalog.PoolKindKey), one(d, "worker", "semaphore", "")))
}

func (d *drawer) exemplars() (all []*metricspb.Exemplar) {
	for range d.IntN(3) {
		all = append(all, &metricspb.Exemplar{
			TimeUnixNano: d.time(), TraceId: make([]byte, one(d, 0, 16, 3)), FilteredAttributes: d.attributes(),
			Value: &metricspb.Exemplar_AsDouble{AsDouble: d.float()},
		})
	}
	return all
}

func (d *drawer) numbers() (all []*metricspb.NumberDataPoint) {
	for range 1 + d.IntN(2) {
		p := &metricspb.NumberDataPoint{
			Attributes: d.attributes(), StartTimeUnixNano: d.time(), TimeUnixNano: d.time(), Exemplars: d.exemplars(),
			Flags: one[uint32](d, 0, 0, 1),
		}
		switch d.IntN(3) {
		case 0:
			p.Value = &metricspb.NumberDataPoint_AsInt{AsInt: one[int64](d, 0, 1, -1, math.MaxInt64, math.MinInt64)}
		case 1:
			p.Value = &metricspb.NumberDataPoint_AsDouble{AsDouble: d.float()}
		}
		all = append(all, p)
	}
	return all
}

func (d *drawer) metric() *metricspb.Metric {
	m := &metricspb.Metric{Name: d.rows[d.IntN(len(d.rows))].Name}
	temporality := metricspb.AggregationTemporality(d.IntN(3))
	counts, total := d.counts()
	switch d.IntN(4) {
	case 0:
		m.Data = &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: d.numbers()}}
	case 1:
		m.Data = &metricspb.Metric_Sum{Sum: &metricspb.Sum{
			DataPoints: d.numbers(), AggregationTemporality: temporality, IsMonotonic: d.IntN(2) == 0,
		}}
	case 2:
		var bounds []float64
		for range max(0, len(counts)-one(d, 1, 1, 1, 0)) {
			bounds = append(bounds, d.float())
		}
		m.Data = &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{
			AggregationTemporality: temporality, DataPoints: []*metricspb.HistogramDataPoint{
				{
					Attributes:        d.attributes(),
					StartTimeUnixNano: d.time(),
					TimeUnixNano:      d.time(),
					Exemplars:         d.exemplars(),
					Count:             total,
					Sum:               proto.Float64(d.float()),
					ExplicitBounds:    bounds,
					BucketCounts:      counts,
				},
			},
		}}
	default:
		scale := one[int32](d, math.MinInt32, -12, -11, -5, -4, 0, 3, 8, 9, 20, 21, math.MaxInt32)
		highest := int32(1024 * math.Exp2(float64(min(20, scale)))) // index of the bucket of the highest float64
		m.Data = &metricspb.Metric_ExponentialHistogram{ExponentialHistogram: &metricspb.ExponentialHistogram{
			AggregationTemporality: temporality, DataPoints: []*metricspb.ExponentialHistogramDataPoint{
				{
					Attributes:        d.attributes(),
					StartTimeUnixNano: d.time(),
					TimeUnixNano:      d.time(),
					Exemplars:         d.exemplars(),
					Count:             total,
					Sum:               proto.Float64(d.float()),
					Scale:             scale,
					Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{
						Offset: one(
							d,
							math.MinInt32,
							-highest-highest/20,
							-highest,
							0,
							highest-4,
							highest,
							math.MaxInt32,
						),
						BucketCounts: counts,
					},
				},
			},
		}}
	}
	return m
}

func (d *drawer) request(t testing.TB) []byte {
	var metrics []*metricspb.Metric
	for range 8 {
		metrics = append(metrics, d.metric())
	}
	data, err := proto.Marshal(&collectorpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{
		{
			Resource: &resourcepb.Resource{
				Attributes: append(d.attributes(), text("service.name", one(d, "shop", "drawn", ""))),
			},
			ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: metrics}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Whatever the types, attributes and values of an app's points, others are served.
func TestAnyPointsAreServed(t *testing.T) {
	for seed := range uint64(500) {
		d, l := newDrawer(seed), withPool(t)
		for range 5 {
			l.Offer(d.request(t))
		}
		checkServed(t, l)
		if seed%20 == 0 {
			dir := t.TempDir()
			if err := l.Save(dir); err != nil {
				t.Error(err)
			}
			again := live.New(live.Config{})
			if err := again.Load(dir); err != nil {
				t.Error(err)
			}
			offer(t, again, "orders")
			checkServed(t, again)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
