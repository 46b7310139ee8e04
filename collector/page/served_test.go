package page

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/live"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// points holds one point of each type, for a test to change.
type points struct {
	limit       *metricspb.NumberDataPoint
	requests    *metricspb.NumberDataPoint
	exponential *metricspb.ExponentialHistogramDataPoint
	explicit    *metricspb.HistogramDataPoint
	resource    *resourcepb.Resource
}

func number(v float64) *metricspb.NumberDataPoint_AsDouble {
	return &metricspb.NumberDataPoint_AsDouble{AsDouble: v}
}

// unusual holds requests that no OpenTelemetry SDK sends, but that a program may send.
var unusual = map[string]func(p *points){
	"nothing unusual":          func(*points) {},
	"a number above a float32": func(p *points) { p.limit.Value, p.requests.Value = number(1e300), number(1e300) },
	"numbers that are no numbers": func(p *points) {
		p.limit.Value, p.requests.Value = number(math.NaN()), number(math.Inf(-1))
		p.explicit.Sum, p.exponential.Sum = proto.Float64(math.NaN()), proto.Float64(math.Inf(1))
	},
	"a negative counter":         func(p *points) { p.requests.Value = number(-1) },
	"the highest offset":         func(p *points) { p.exponential.Positive.Offset = math.MaxInt32 },
	"the lowest offset":          func(p *points) { p.exponential.Positive.Offset = math.MinInt32 },
	"the highest scale":          func(p *points) { p.exponential.Scale = math.MaxInt32 },
	"the lowest scale":           func(p *points) { p.exponential.Scale = math.MinInt32 },
	"a scale below Prometheus's": func(p *points) { p.exponential.Scale = -5 },
	"counts that overflow": func(p *points) {
		p.exponential.Positive.BucketCounts = []uint64{math.MaxUint64, math.MaxUint64, 0, 7}
		p.explicit.BucketCounts = []uint64{math.MaxUint64, math.MaxUint64, 3}
	},
	"fewer values in the buckets than in total": func(p *points) { p.exponential.Count, p.explicit.Count = 9, 9 },
	"a count above an int64": func(p *points) {
		p.exponential.Count, p.exponential.Positive.BucketCounts = 1<<63, []uint64{1 << 63}
	},
	"no buckets":                 func(p *points) { p.exponential.Positive, p.explicit.BucketCounts = nil, nil },
	"bounds in the wrong order":  func(p *points) { p.explicit.ExplicitBounds = []float64{2, 1} },
	"equal bounds":               func(p *points) { p.explicit.ExplicitBounds = []float64{1, 1} },
	"bounds that are no numbers": func(p *points) { p.explicit.ExplicitBounds = []float64{math.NaN(), math.Inf(1)} },
	"an infinite bound":          func(p *points) { p.explicit.ExplicitBounds = []float64{1, math.Inf(1)} },
	"attributes with reserved names": func(p *points) {
		for _, name := range []string{"le", "quantile", "__name__", "job", "instance", "", "__", "1", "é", "pool name", "pool.name"} {
			a := text(name, "reserved "+name)
			p.limit.Attributes = append(p.limit.Attributes, a)
			p.exponential.Attributes = append(p.exponential.Attributes, a)
			p.explicit.Attributes = append(p.explicit.Attributes, a)
			p.resource.Attributes = append(p.resource.Attributes, a)
		}
	},
	"attributes given twice": func(p *points) {
		p.limit.Attributes = append(p.limit.Attributes, p.limit.Attributes...)
		p.resource.Attributes = append(p.resource.Attributes, p.resource.Attributes...)
	},
	"times in the far future": func(p *points) {
		p.limit.TimeUnixNano, p.requests.StartTimeUnixNano = math.MaxUint64, math.MaxUint64
		p.exponential.TimeUnixNano, p.explicit.StartTimeUnixNano = math.MaxInt64, math.MaxInt64
	},
}

// request returns a serialized request with the points that change has changed.
func request(t testing.TB, change func(*points)) []byte {
	t.Helper()
	now := uint64(time.Now().UnixNano())
	attributes := []*commonpb.KeyValue{
		text(string(catalog.PoolNameKey), "unusual"), text(string(catalog.PoolKindKey), "worker"),
	}
	acquired := append(slices.Clone(attributes), text(string(catalog.PoolOutcomeKey), "acquired"))
	p := &points{
		limit: &metricspb.NumberDataPoint{Attributes: attributes, TimeUnixNano: now, Value: number(10)},
		requests: &metricspb.NumberDataPoint{
			Attributes:        acquired,
			StartTimeUnixNano: now - 1e9,
			TimeUnixNano:      now,
			Value:             number(20),
		},
		exponential: &metricspb.ExponentialHistogramDataPoint{
			Attributes:        acquired,
			StartTimeUnixNano: now - 1e9,
			TimeUnixNano:      now,
			Count:             4,
			Sum:               proto.Float64(2),
			Scale:             3,
			Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{
				Offset:       -4,
				BucketCounts: []uint64{1, 0, 2, 1},
			},
		},
		explicit: &metricspb.HistogramDataPoint{
			Attributes: acquired, StartTimeUnixNano: now - 1e9, TimeUnixNano: now, Count: 6, Sum: proto.Float64(5),
			ExplicitBounds: []float64{1, 2}, BucketCounts: []uint64{1, 2, 3},
		},
		resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", "unusual")}},
	}
	change(p)
	const cumulative = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	data, err := proto.Marshal(&collectorpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource: p.resource,
		ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{
			{Name: catalog.PoolLimit.Name, Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{
				AggregationTemporality: cumulative, DataPoints: []*metricspb.NumberDataPoint{p.limit},
			}}},
			{Name: catalog.PoolRequests.Name, Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{
				AggregationTemporality: cumulative,
				IsMonotonic:            true,
				DataPoints:             []*metricspb.NumberDataPoint{p.requests},
			}}},
			{Name: catalog.PoolWaitDuration.Name, Data: &metricspb.Metric_ExponentialHistogram{
				ExponentialHistogram: &metricspb.ExponentialHistogram{
					AggregationTemporality: cumulative,
					DataPoints:             []*metricspb.ExponentialHistogramDataPoint{p.exponential},
				},
			}},
			{Name: catalog.PoolUseDuration.Name, Data: &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{
				AggregationTemporality: cumulative, DataPoints: []*metricspb.HistogramDataPoint{p.explicit},
			}}},
		}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// checkServed checks that clients can parse what a sidecar with l serves, and that it includes the
// pool "orders".
func checkServed(t *testing.T, l *live.Live) {
	t.Helper()
	s := &Server{cfg: Config{Live: l}}
	s.shared.live = l
	handler := s.handler()
	serve := func(path, accept string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil)
		r.Header.Set("Accept", accept)
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return w
	}
	var picture live.Picture
	if body := serve("/api/v1/picture", "").Body.Bytes(); json.Unmarshal(body, &picture) != nil {
		t.Fatalf("not a picture: %s", body)
	}
	if !slices.ContainsFunc(picture.Pools, func(p live.Pool) bool { return p.Name == "orders" }) {
		t.Error("the picture does not include orders")
	}
	for _, p := range picture.Pools {
		if body := serve("/api/v1/pools/"+p.ID+"/history", "").Body.Bytes(); !json.Valid(body) {
			t.Errorf("the history is not JSON: %s", body)
		}
	}
	for _, accept := range []string{string(textType), string(protobufType)} {
		w := serve("/metrics", accept)
		decoder := expfmt.NewDecoder(w.Body, expfmt.ResponseFormat(w.Header()))
		found := false
		for {
			f := &dto.MetricFamily{}
			err := decoder.Decode(f)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", accept, err)
			}
			for _, m := range f.GetMetric() {
				checkMetric(t, f.GetName(), m)
				found = found ||
					slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetValue() == "orders" })
			}
		}
		if !found {
			t.Errorf("%s: the metrics do not include orders", accept)
		}
	}
}

// checkMetric checks what Prometheus requires of a series.
func checkMetric(t *testing.T, name string, m *dto.Metric) {
	t.Helper()
	seen := map[string]bool{}
	for _, l := range m.GetLabel() {
		if seen[l.GetName()] || strings.HasPrefix(l.GetName(), "__") || m.Histogram != nil && l.GetName() == "le" {
			t.Errorf("%s: label %q is reserved or occurs twice", name, l.GetName())
		}
		seen[l.GetName()] = true
	}
	h := m.GetHistogram()
	bound, count := math.Inf(-1), uint64(0)
	for _, b := range h.GetBucket() {
		if !(b.GetUpperBound() > bound) || b.GetCumulativeCount() < count {
			t.Errorf(
				"%s: bucket %v of %d follows bucket %v of %d",
				name,
				b.GetUpperBound(),
				b.GetCumulativeCount(),
				bound,
				count,
			)
		}
		bound, count = b.GetUpperBound(), b.GetCumulativeCount()
	}
	if h.GetSampleCount() < count {
		t.Errorf("%s: %d samples, but %d in buckets", name, h.GetSampleCount(), count)
	}
	if h != nil && h.Schema != nil {
		checkNative(t, name, h)
	}
}

// checkNative checks what Prometheus requires of a native histogram.
func checkNative(t *testing.T, name string, h *dto.Histogram) {
	t.Helper()
	if h.GetSchema() < -4 || h.GetSchema() > 8 {
		t.Errorf("%s: schema %d", name, h.GetSchema())
	}
	count, total := int64(0), int64(h.GetZeroCount())
	for _, delta := range h.GetPositiveDelta() {
		count += delta
		total += count
		if count < 0 || total < 0 {
			t.Errorf("%s: a bucket of %d, and %d up to there", name, count, total)
		}
	}
	if total != int64(h.GetSampleCount()) {
		t.Errorf("%s: %d samples, but %d in native buckets", name, h.GetSampleCount(), total)
	}
}

func TestUnusualPointsDoNotHideOthers(t *testing.T) {
	for name, change := range unusual {
		t.Run(name, func(t *testing.T) {
			l := withPool(t)
			data := request(t, change)
			if _, err := otlp.Inspect(otlp.Metrics, data); err != nil {
				t.Fatal(err)
			}
			l.Offer(data)
			l.Offer(data)
			checkServed(t, l)
		})
	}
}

func FuzzServed(f *testing.F) {
	for _, change := range unusual {
		f.Add(request(f, change))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := otlp.Inspect(otlp.Metrics, data); err != nil {
			return // the receiver rejects it
		}
		l := withPool(t)
		l.Offer(data)
		l.Offer(data)
		checkServed(t, l)
	})
}
