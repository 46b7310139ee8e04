package e2e

import (
	"bytes"
	"testing"

	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// future is a field that no release of OTLP has.
var future = protowire.AppendString(protowire.AppendTag(nil, 4242, protowire.BytesType), "from the future")

func withFuture[M proto.Message](m M) M {
	m.ProtoReflect().SetUnknown(future)
	return m
}

// appResource returns a resource that has a host name already, but no pod name.
func appResource() *resourcepb.Resource {
	return withFuture(&resourcepb.Resource{Attributes: []*commonpb.KeyValue{
		stringAttribute("service.name", "shop"), stringAttribute("host.name", "its own"),
	}, EntityRefs: []*commonpb.EntityRef{withFuture(&commonpb.EntityRef{
		SchemaUrl:       "https://example.org/3",
		Type:            "host",
		IdKeys:          []string{"host.name"},
		DescriptionKeys: []string{"host.image"},
	})}})
}

// checkResource checks that the sidecar added the attributes that were missing, and that it changed
// nothing else. The sidecar has host.name=node-1 and k8s.pod.name=web-7.
func checkResource(t *testing.T, got *resourcepb.Resource) {
	t.Helper()
	values := map[string]string{}
	for _, kv := range got.GetAttributes() {
		if _, twice := values[kv.GetKey()]; twice {
			t.Errorf("resource attribute %s occurs twice", kv.GetKey())
		}
		values[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	if values["service.name"] != "shop" || values["host.name"] != "its own" || values["k8s.pod.name"] != "web-7" {
		t.Errorf("resource %v, want the app's service.name and host.name and the sidecar's k8s.pod.name", values)
	}
	if _, own := values["service.instance.id"]; own {
		t.Error("the app's resource has the sidecar's service.instance.id")
	}
	if want := appResource().GetEntityRefs(); len(got.GetEntityRefs()) != 1 ||
		!proto.Equal(got.GetEntityRefs()[0], want[0]) {
		t.Errorf("entity references %v, want %v", got.GetEntityRefs(), want)
	}
	if !bytes.Equal(got.ProtoReflect().GetUnknown(), future) {
		t.Error("the resource lost an unknown field")
	}
}

// awaitMethod waits for a request to the given method that contains text, and returns its bytes.
func (s *sink) awaitMethod(method, text string) (data []byte) {
	s.t.Helper()
	s.await(method, func() bool {
		for _, d := range s.taken {
			if d.method == method && bytes.Contains(d.data, []byte(text)) {
				data = d.data
			}
		}
		return data != nil
	})
	return data
}

func mustMarshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Missing attributes of the pod are added. Points arrive unchanged, byte for byte, including
// exponential histograms, exemplars and unknown fields.
func TestRelayEnriches(t *testing.T) {
	up := newSink(t)
	r := newRelay(t, up.listen("127.0.0.1:0"))
	r.start()
	point := withFuture(&metricpb.ExponentialHistogramDataPoint{
		StartTimeUnixNano: 1,
		TimeUnixNano:      2,
		Count:             7,
		Sum:               proto.Float64(6.5),
		Scale:             -2,
		ZeroCount:         1,
		ZeroThreshold:     0.25,
		Positive:          &metricpb.ExponentialHistogramDataPoint_Buckets{Offset: -3, BucketCounts: []uint64{1, 0, 5}},
		Negative:          &metricpb.ExponentialHistogramDataPoint_Buckets{Offset: 2, BucketCounts: []uint64{0}},
		Exemplars: []*metricpb.Exemplar{
			withFuture(
				&metricpb.Exemplar{
					TimeUnixNano: 2,
					Value:        &metricpb.Exemplar_AsDouble{AsDouble: 1.5},
					TraceId:      bytes.Repeat([]byte{7}, 16),
					SpanId:       bytes.Repeat([]byte{9}, 8),
				},
			),
		},
	})
	metric := withFuture(&metricpb.Metric{Name: "shop.sizes", Unit: "By", Data: &metricpb.Metric_ExponentialHistogram{
		ExponentialHistogram: &metricpb.ExponentialHistogram{
			AggregationTemporality: 2,
			DataPoints:             []*metricpb.ExponentialHistogramDataPoint{point},
		},
	}})
	scope := withFuture(&metricpb.ScopeMetrics{Metrics: []*metricpb.Metric{metric}, SchemaUrl: "https://example.org/1"})
	request := &colmetricpb.ExportMetricsServiceRequest{
		ResourceMetrics: []*metricpb.ResourceMetrics{withFuture(&metricpb.ResourceMetrics{
			Resource: appResource(), ScopeMetrics: []*metricpb.ScopeMetrics{scope}, SchemaUrl: "https://example.org/2",
		})},
	}
	if err := invoke(t.Context(), dial(t, "unix:"+r.socket), metricsMethod, mustMarshal(t, request)); err != nil {
		t.Fatal(err)
	}

	data := up.awaitMethod(metricsMethod, "shop.sizes")
	if !bytes.Contains(data, mustMarshal(t, scope)) {
		t.Error("the points did not arrive unchanged, byte for byte")
	}
	got := &colmetricpb.ExportMetricsServiceRequest{}
	if err := proto.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	for _, rm := range got.GetResourceMetrics() {
		if rm.GetSchemaUrl() == "https://example.org/2" {
			checkResource(t, rm.GetResource())
			if !bytes.Equal(rm.ProtoReflect().GetUnknown(), future) {
				t.Error("the resource metrics lost an unknown field")
			}
			return
		}
	}
	t.Error("the app's resource did not arrive")
}

// Spans and log records are relayed like metrics, over gRPC and HTTP, and are queued for the
// upstream.
func TestRelayTracesAndLogs(t *testing.T) {
	up := newSink(t)
	r := newRelay(t, freeAddress(t))
	s := r.start()
	traces := mustMarshal(t, &coltracepb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: appResource(), ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{
			withFuture(
				&tracepb.Span{
					Name:    "checkout",
					TraceId: bytes.Repeat([]byte{1}, 16),
					SpanId:  bytes.Repeat([]byte{2}, 8),
				},
			),
		}}},
	}}})
	logs := &collogspb.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{
		{
			Resource:  appResource(),
			ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{{SeverityText: "sold out"}}}},
		},
	}}
	jsonLogs, err := protojson.Marshal(&collogspb.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{
		ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{{SeverityText: "from json"}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, base := t.Context(), "http://"+s.httpAddress
	for name, err := range map[string]error{
		"traces over gRPC": invoke(ctx, dial(t, s.target), tracesMethod, traces),
		"logs over HTTP":   post(ctx, base+"/v1/logs", "application/x-protobuf", "gzip", gzipped(mustMarshal(t, logs))),
		"logs in JSON":     post(ctx, base+"/v1/logs", "application/json", "", jsonLogs),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.awaitLog(loggedDown)
	up.listen(r.upstream)

	span := &coltracepb.ExportTraceServiceRequest{}
	if err := proto.Unmarshal(up.awaitMethod(tracesMethod, "checkout"), span); err != nil {
		t.Fatal(err)
	}
	checkResource(t, span.GetResourceSpans()[0].GetResource())
	if got := span.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]; !bytes.Equal(
		got.ProtoReflect().GetUnknown(),
		future,
	) {
		t.Error("a span lost an unknown field")
	}
	record := &collogspb.ExportLogsServiceRequest{}
	if err := proto.Unmarshal(up.awaitMethod(logsMethod, "sold out"), record); err != nil {
		t.Fatal(err)
	}
	for _, rl := range record.GetResourceLogs() { // the sidecar joins requests of the same signal
		if rl.GetResource() != nil && rl.GetScopeLogs()[0].GetLogRecords()[0].GetSeverityText() == "sold out" {
			checkResource(t, rl.GetResource())
		}
	}
	up.awaitMethod(logsMethod, "from json")
}
