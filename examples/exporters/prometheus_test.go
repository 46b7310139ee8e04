package exporters_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
)

// With the Prometheus exporter, omit the Producer. Pools then report through the MeterProvider,
// with explicit buckets, which every version of Prometheus and every scrape format support.
func Example_prometheus() {
	registry := prometheus.NewRegistry()
	exporter, err := promexporter.New(promexporter.WithRegisterer(registry))
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	defer func() { _ = provider.Shutdown(context.Background()) }()

	// Alternatively, otel.SetMeterProvider(provider) does this for all pools.
	reg, err := instrument.Observe("uploads", "semaphore", pool, instrument.WithMeterProvider(provider))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()

	_, body := scrape(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), "text/plain")
	show(body, "poolgauge_pool_limit")
	show(body, "poolgauge_pool_requests")
	show(body, "poolgauge_pool_wait_duration_seconds_bucket le=0.00")
	show(body, "poolgauge_pool_wait_duration_seconds_count")
	// Output:
	// poolgauge_pool_limit 4
	// poolgauge_pool_requests_total 10
	// poolgauge_pool_wait_duration_seconds_bucket le=0.0001 0
	// poolgauge_pool_wait_duration_seconds_bucket le=0.00025 0
	// poolgauge_pool_wait_duration_seconds_bucket le=0.0005 0
	// poolgauge_pool_wait_duration_seconds_bucket le=0.001 0
	// poolgauge_pool_wait_duration_seconds_bucket le=0.0025 10
	// poolgauge_pool_wait_duration_seconds_bucket le=0.005 10
	// poolgauge_pool_wait_duration_seconds_count 10
}

// With the Producer, the exporter exposes native histograms. Prometheus must request them
// (scrape_native_histograms: true, or --enable-feature=native-histograms before 3.8). A scrape in
// the text format contains only their count, their sum and the bucket +Inf, which yield no
// quantiles: a Prometheus that does not request native histograms silently loses the distribution.
func Example_nativeHistograms() {
	pools := producer.New()
	defer pools.Close()
	registry := prometheus.NewRegistry()
	exporter, err := promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithProducer(pools))
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	defer func() { _ = provider.Shutdown(context.Background()) }()

	reg, err := instrument.Observe("uploads", "semaphore", pool)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()

	_, body := scrape(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), "text/plain")
	show(body, "poolgauge_pool_limit")
	show(body, "poolgauge_pool_wait_duration_seconds")
	// Output:
	// poolgauge_pool_limit 4
	// poolgauge_pool_wait_duration_seconds_bucket le=+Inf 10
	// poolgauge_pool_wait_duration_seconds_sum 0.02
	// poolgauge_pool_wait_duration_seconds_count 10
}

const protobufFormat = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

// A scrape in the protobuf format contains the native histogram, with the pool's resolution.
func TestNativeHistogramInProtobuf(t *testing.T) {
	pools := producer.New()
	defer pools.Close()
	registry := prometheus.NewRegistry()
	exporter, err := promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithProducer(pools))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	defer func() { _ = provider.Shutdown(context.Background()) }()
	reg, err := instrument.Observe("uploads", "semaphore", pool)
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()

	_, body := scrape(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), protobufFormat)
	families := parse(t, []byte(body))
	family := families["poolgauge_pool_wait_duration_seconds"]
	if family == nil || len(family.GetMetric()) != 1 {
		t.Fatalf("want one histogram of waits, got %v", families)
	}
	h := family.GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 10 || h.GetSchema() != instrument.Scale || len(h.GetPositiveSpan()) != 1 ||
		len(h.GetBucket()) != 0 {
		t.Errorf("got histogram %v, want 10 waits, the scale %d and no explicit buckets", h, instrument.Scale)
	}
}

// parse parses length-delimited messages, and returns them by the name of the metric.
func parse(t *testing.T, data []byte) map[string]*dto.MetricFamily {
	t.Helper()
	families := map[string]*dto.MetricFamily{}
	for len(data) > 0 {
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			t.Fatalf("invalid message length %d (%d bytes read, %d left)", size, n, len(data))
		}
		family := new(dto.MetricFamily)
		if err := proto.Unmarshal(data[n:n+int(size)], family); err != nil {
			t.Fatal(err)
		}
		families[family.GetName()] = family
		data = data[n+int(size):]
	}
	return families
}
