package page

import (
	"fmt"
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

// busy returns an export request of an app with busy pools, each of which has served the given
// number of requests.
func busy(t testing.TB, pools int, at time.Time, served uint64) []byte {
	t.Helper()
	const cumulative = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	now, start := uint64(at.UnixNano()), uint64(at.UnixNano())-served*1e6
	var metrics []*metricspb.Metric
	for i := range pools {
		attributes := func(pairs ...string) []*commonpb.KeyValue {
			all := []*commonpb.KeyValue{
				text(string(catalog.PoolNameKey), fmt.Sprintf("pool-%d", i)),
				text(string(catalog.PoolKindKey), "worker"),
			}
			for j := 0; j < len(pairs); j += 2 {
				all = append(all, text(pairs[j], pairs[j+1]))
			}
			return all
		}
		number := func(m *catalog.Metric, v float64, pairs ...string) {
			points := []*metricspb.NumberDataPoint{
				{
					Attributes: attributes(
						pairs...),
					StartTimeUnixNano: start,
					TimeUnixNano:      now,
					Value:             &metricspb.NumberDataPoint_AsDouble{AsDouble: v},
				},
			}
			one := &metricspb.Metric{Name: m.Name, Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{
				AggregationTemporality: cumulative, IsMonotonic: m.Kind == catalog.Counter, DataPoints: points,
			}}}
			if m.Kind == catalog.Gauge {
				one.Data = &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: points}}
			}
			metrics = append(metrics, one)
		}
		histogram := func(m *catalog.Metric, pairs ...string) {
			counts := make([]uint64, 60)
			for j := range counts {
				counts[j] = served * uint64(j+1) / 1000
			}
			metrics = append(metrics, &metricspb.Metric{Name: m.Name, Data: &metricspb.Metric_ExponentialHistogram{
				ExponentialHistogram: &metricspb.ExponentialHistogram{
					AggregationTemporality: cumulative,
					DataPoints: []*metricspb.ExponentialHistogramDataPoint{
						{
							Attributes: attributes(
								pairs...),
							StartTimeUnixNano: start,
							TimeUnixNano:      now,
							Count:             served,
							Sum:               proto.Float64(float64(served)),
							Scale:             3,
							Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{
								Offset:       -80,
								BucketCounts: counts,
							},
						},
					},
				},
			}})
		}
		number(catalog.PoolLimit, 10)
		number(catalog.PoolUsage, float64(served%10), string(catalog.PoolStateKey), "used")
		number(catalog.PoolUsage, float64(10-served%10), string(catalog.PoolStateKey), "idle")
		number(catalog.PoolPending, float64(served%7))
		number(catalog.PoolPendingAge, 0.01*float64(served%7+1))
		number(catalog.PoolRequests, float64(served), string(catalog.PoolOutcomeKey), "acquired")
		number(catalog.PoolRequests, float64(served/100), string(catalog.PoolOutcomeKey), "timeout")
		number(catalog.PoolUseTime, float64(served)/100)
		number(catalog.PoolCompleted, float64(served), string(catalog.PoolOutcomeKey), "ok")
		histogram(catalog.PoolWaitDuration, string(catalog.PoolOutcomeKey), "acquired")
		histogram(catalog.PoolWaitDuration, string(catalog.PoolOutcomeKey), "timeout")
		histogram(catalog.PoolUseDuration)
	}
	data, err := proto.Marshal(&collectorpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource:     &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", "shop")}},
		ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: metrics}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// BenchmarkChange measures the cost of new points for 100 pools: recording the points, and creating
// the picture for viewers, which happens at most once a second.
func BenchmarkChange(b *testing.B) {
	const pools = 100
	l := live.New(live.Config{})
	start := time.Now()
	requests := make([][]byte, 60)
	for i := range requests {
		requests[i] = busy(b, pools, start.Add(time.Duration(i)*time.Second), uint64(1000*(i+1)))
	}
	s := &shared{live: l}
	l.Offer(requests[0])
	for name, step := range map[string]func(i int){
		"points":  func(i int) { l.Offer(requests[1+i%(len(requests)-1)]) },
		"picture": func(int) { l.Picture() },
		"json":    func(int) { s.readAt = time.Time{}; s.append(nil, live.Selection{Limit: 50}) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				step(i)
			}
		})
	}
}
