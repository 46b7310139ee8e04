package page

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/semconv/v1.43.0/goconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/processconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/systemconv"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/live"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{
		Key:   key,
		Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}},
	}
}

// offer adds a pool to l. It has ten slots and 8,000 waits between a millisecond and a second,
// evenly distributed on a logarithmic scale.
func offer(t testing.TB, l *live.Live, pool string) {
	t.Helper()
	now := uint64(time.Now().UnixNano())
	attributes := []*commonpb.KeyValue{
		text(string(catalog.PoolNameKey), pool),
		text(string(catalog.PoolKindKey), "worker"),
	}
	counts := make([]uint64, 80)
	for i := range counts {
		counts[i] = 100
	}
	const cumulative = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	data, err := proto.Marshal(&collectorpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{
		{
			Resource: &resourcepb.Resource{
				Attributes: []*commonpb.KeyValue{
					text("service.name", "shop"),
					text("service.instance.id", "i-1"),
					text("k8s.pod.name", "shop-0"),
				},
			},
			ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{
				{
					Name: catalog.PoolLimit.Name,
					Data: &metricspb.Metric_Sum{
						Sum: &metricspb.Sum{
							AggregationTemporality: cumulative,
							DataPoints: []*metricspb.NumberDataPoint{
								{
									Attributes:   attributes,
									TimeUnixNano: now,
									Value:        &metricspb.NumberDataPoint_AsInt{AsInt: 10},
								},
							},
						},
					},
				},
				{
					Name: catalog.PoolWaitDuration.Name,
					Data: &metricspb.Metric_ExponentialHistogram{ExponentialHistogram: &metricspb.ExponentialHistogram{
						AggregationTemporality: cumulative,
						DataPoints: []*metricspb.ExponentialHistogramDataPoint{
							{
								Attributes: append(
									attributes,
									text(string(catalog.PoolOutcomeKey), `<script>"\`),
								),
								StartTimeUnixNano: now - 1e9,
								TimeUnixNano:      now,
								Count:             8000,
								Sum:               proto.Float64(1000),
								Scale:             3,
								Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{
									Offset:       -80,
									BucketCounts: counts,
								},
							},
						},
					}},
				},
			}}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.Offer(data)
}

func withPool(t testing.TB) *live.Live {
	t.Helper()
	l := live.New(live.Config{})
	offer(t, l, "orders")
	return l
}

// scrape returns the families at /metrics by name.
func scrape(t *testing.T, accept string) map[string]*dto.MetricFamily {
	t.Helper()
	_, url := start(t, withPool(t))
	_, header, body := get(t, http.MethodGet, url+"/metrics", "Accept", accept)
	decoder := expfmt.NewDecoder(strings.NewReader(body), expfmt.ResponseFormat(header))
	all := map[string]*dto.MetricFamily{}
	for {
		f := &dto.MetricFamily{}
		if decoder.Decode(f) != nil {
			return all
		}
		all[f.GetName()] = f
	}
}

func TestMetricsInText(t *testing.T) {
	all := scrape(t, "")
	limit := all["poolgauge_pool_limit"].GetMetric()
	if len(limit) != 1 || limit[0].GetGauge().GetValue() != 10 {
		t.Fatalf("poolgauge_pool_limit: got %v, want one gauge of 10", limit)
	}
	labels := map[string]string{}
	for _, p := range limit[0].GetLabel() {
		labels[p.GetName()] = p.GetValue()
	}
	for name, want := range map[string]string{
		"poolgauge_pool_name": "orders", "poolgauge_pool_kind": "worker", "job": "shop", "instance": "i-1", "k8s_pod_name": "shop-0",
	} {
		if labels[name] != want {
			t.Errorf("%s: got %q, want %q", name, labels[name], want)
		}
	}
	h := all["poolgauge_pool_wait_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 8000 || !model.LabelValue(`<script>"\`).IsValid() {
		t.Errorf("got %v, want 8000 samples", h)
	}
	for _, b := range h.GetBucket() { // from 2^-10 to 1 s, evenly distributed on a logarithmic scale
		share := min(1, max(0, (math.Log2(b.GetUpperBound())+10)/10))
		if want := 8000 * share; math.Abs(float64(b.GetCumulativeCount())-want) > 1 {
			t.Errorf("waits of at most %v s: got %d, want %.0f", b.GetUpperBound(), b.GetCumulativeCount(), want)
		}
	}
}

// Native buckets are the same as those in OTLP.
func TestMetricsInProtobuf(t *testing.T) {
	all := scrape(t, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	h := all["poolgauge_pool_wait_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSchema() != 3 || len(h.GetPositiveSpan()) != 1 || h.GetPositiveSpan()[0].GetOffset() != -79 ||
		h.GetPositiveSpan()[0].GetLength() != 80 {
		t.Fatalf("got %v, want schema 3 and one span of 80 buckets from -79", h)
	}
	n, total := int64(0), int64(0)
	for _, d := range h.GetPositiveDelta() {
		n += d
		total += n
	}
	if total != 8000 {
		t.Errorf("the buckets contain %d waits, want 8000", total)
	}
}

func TestMetricsInOpenMetrics(t *testing.T) {
	_, url := start(t, withPool(t))
	_, header, body := get(t, http.MethodGet, url+"/metrics", "Accept", "application/openmetrics-text;version=1.0.0")
	if !strings.HasPrefix(header.Get("Content-Type"), "application/openmetrics-text; version=1.0.0") ||
		!strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("got %q, want OpenMetrics 1.0.0 and # EOF:\n%.300s", header.Get("Content-Type"), body)
	}
}

// The names of three gauges end in _count, which promlint reports. The semantic conventions define
// these names, and Prometheus's translator for OTLP keeps them, so another name here would result
// in a different series.
func TestGaugeNamesThatEndInCountAreStandard(t *testing.T) {
	for want, convention := range map[string]interface {
		Name() string
		Unit() string
	}{
		"go_goroutine_count":       goconv.GoroutineCount{},
		"process_thread_count":     processconv.ThreadCount{},
		"system_cpu_logical_count": systemconv.CPULogicalCount{},
	} {
		var row *catalog.Metric
		catalog.Each(func(_ *catalog.Group, m *catalog.Metric) {
			if m.Name == convention.Name() && m.Unit == convention.Unit() {
				row = m
			}
		})
		if row == nil || !row.Standard {
			t.Errorf("%s: got the catalog's row %+v, want a standard one", convention.Name(), row)
			continue
		}
		got, err := metricNamer.Build(otlptranslator.Metric{Name: row.Name, Unit: row.Unit, Type: typeOf(row)})
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", row.Name, got, err, want)
		}
	}
}
