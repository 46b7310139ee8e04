package live

import (
	"fmt"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request builds an ExportMetricsServiceRequest of an app.
type request struct {
	start, at time.Time
	service   string
	metrics   []*metricspb.Metric
}

func requestAt(start, at time.Time) *request { return &request{start: start, at: at, service: "shop"} }

func attributes(pairs ...string) (kvs []*commonpb.KeyValue) {
	for i := 0; i < len(pairs); i += 2 {
		kvs = append(
			kvs,
			&commonpb.KeyValue{
				Key:   pairs[i],
				Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: pairs[i+1]}},
			},
		)
	}
	return kvs
}

func ofPool(name string, more ...string) []string {
	return append([]string{string(catalog.PoolNameKey), name, string(catalog.PoolKindKey), "worker"}, more...)
}

func (r *request) number(row *catalog.Metric, v float64, pairs ...string) *request {
	p := &metricspb.NumberDataPoint{
		StartTimeUnixNano: uint64(
			r.start.UnixNano(),
		),
		TimeUnixNano: uint64(r.at.UnixNano()),
		Attributes:   attributes(pairs...),
		Value:        &metricspb.NumberDataPoint_AsDouble{AsDouble: v},
	}
	if row.Number == catalog.Int {
		p.Value = &metricspb.NumberDataPoint_AsInt{AsInt: int64(v)}
	}
	m := &metricspb.Metric{Name: row.Name, Unit: row.Unit, Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{
		DataPoints: []*metricspb.NumberDataPoint{
			p,
		},
		AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
		IsMonotonic:            row.Kind == catalog.Counter,
	}}}
	if row.Kind == catalog.Gauge {
		m.Data = &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: []*metricspb.NumberDataPoint{p}}}
	}
	r.metrics = append(r.metrics, m)
	return r
}

// distribution adds an exponential histogram with the given scale. counts[0] is the count of the
// bucket with index offset.
func (r *request) distribution(row *catalog.Metric, scale, offset int32, counts []uint64, pairs ...string) *request {
	p := &metricspb.ExponentialHistogramDataPoint{
		StartTimeUnixNano: uint64(
			r.start.UnixNano(),
		),
		TimeUnixNano: uint64(r.at.UnixNano()),
		Attributes:   attributes(pairs...),
		Scale:        scale,
		Positive:     &metricspb.ExponentialHistogramDataPoint_Buckets{Offset: offset, BucketCounts: counts},
		Exemplars:    []*metricspb.Exemplar{{TimeUnixNano: 1}},
	}
	for _, n := range counts {
		p.Count += n
	}
	r.metrics = append(r.metrics, &metricspb.Metric{Name: row.Name, Data: &metricspb.Metric_ExponentialHistogram{
		ExponentialHistogram: &metricspb.ExponentialHistogram{
			DataPoints: []*metricspb.ExponentialHistogramDataPoint{
				p,
			},
			AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
		},
	}})
	return r
}

func (r *request) message() *collectorpb.ExportMetricsServiceRequest {
	return &collectorpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{
		{
			Resource: &resourcepb.Resource{
				Attributes: attributes("service.name", r.service, "service.instance.id", "1"),
			},
			ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: r.metrics}},
		},
	}}
}

func (r *request) wire(t testing.TB) []byte {
	t.Helper()
	data, err := proto.Marshal(r.message())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// checkUsed checks that the memory that l has counted is the sum of all sizes.
func checkUsed(t *testing.T, l *Live) {
	t.Helper()
	used, count := int64(0), int64(0)
	for _, p := range l.pools {
		used += p.size()
	}
	for _, a := range l.apps {
		used += appSize + int64(len(a.resource))
		for _, s := range a.series {
			used += s.size()
			count++
		}
	}
	if l.used != used || l.count != count {
		t.Errorf("%d bytes and %d series are counted, but there are %d and %d", l.used, l.count, used, count)
	}
}

// onlyPool returns the only pool of the picture.
func onlyPool(t *testing.T, l *Live) Pool {
	t.Helper()
	pools := l.Picture().Pools
	if len(pools) != 1 {
		t.Fatalf("the picture has %d pools, want 1", len(pools))
	}
	return pools[0]
}

func expect(t *testing.T, what string, got Figure, want float64) {
	t.Helper()
	if v, ok := got.Get(); !ok || v < 0.95*want || v > 1.05*want {
		t.Errorf("%s: got %v (known: %t), want %v", what, v, ok, want)
	}
}

func expectAbsent(t *testing.T, what string, got Figure) {
	t.Helper()
	if v, ok := got.Get(); ok {
		t.Errorf("%s: got %v, want an absent value", what, v)
	}
}

func poolName(i int) string { return fmt.Sprintf("pool-%03d", i) }
