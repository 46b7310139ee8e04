package main

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// shape is a kind of request that SDKs send.
type shape struct {
	name   string
	signal otlp.Signal
	body   func(items int) ([]byte, error)
}

var shapes = []shape{
	{"counters", otlp.Metrics, func(n int) ([]byte, error) { return metrics(n, counter) }},
	{"histograms", otlp.Metrics, func(n int) ([]byte, error) { return metrics(n, histogram) }},
	{"exponential histograms", otlp.Metrics, func(n int) ([]byte, error) { return metrics(n, exponential) }},
	{"spans", otlp.Traces, spans},
	{"log records", otlp.Logs, logs},
}

const now = 1_764_355_000_123_456_789

func resource(r pcommon.Resource) {
	r.Attributes().PutStr("service.name", "orders")
	r.Attributes().PutStr("service.version", "1.2.3")
	r.Attributes().PutStr("telemetry.sdk.name", "opentelemetry")
	r.Attributes().PutStr("telemetry.sdk.language", "nodejs")
	r.Attributes().PutStr("telemetry.sdk.version", "2.3.0")
}

func attributes(m pcommon.Map, i int) {
	m.PutStr("http.request.method", "GET")
	m.PutStr("http.route", fmt.Sprintf("/orders/%d", i%50))
	m.PutStr("server.address", "shop.example.com")
	m.PutInt("http.response.status_code", 200)
}

// metrics returns a JSON request with n points, five in each metric. It calls add to add point i to
// metric m.
func metrics(n int, add func(m pmetric.Metric, i int)) ([]byte, error) {
	data := pmetric.NewMetrics()
	group := data.ResourceMetrics().AppendEmpty()
	resource(group.Resource())
	scope := group.ScopeMetrics().AppendEmpty()
	scope.Scope().SetName("example.com/shop/orders")
	var m pmetric.Metric
	for i := range n {
		if i%5 == 0 {
			m = scope.Metrics().AppendEmpty()
			m.SetName(fmt.Sprintf("shop.orders.%d", i/5))
			m.SetDescription("what was ordered")
			m.SetUnit("{order}")
		}
		add(m, i)
	}
	return (&pmetric.JSONMarshaler{}).MarshalMetrics(data)
}

func counter(m pmetric.Metric, i int) {
	if m.Type() == pmetric.MetricTypeEmpty {
		m.SetEmptySum().SetIsMonotonic(true)
		m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	}
	p := m.Sum().DataPoints().AppendEmpty()
	p.SetStartTimestamp(now - 1e9)
	p.SetTimestamp(now)
	p.SetDoubleValue(float64(i) * 1.0625)
	attributes(p.Attributes(), i)
}

func histogram(m pmetric.Metric, i int) {
	if m.Type() == pmetric.MetricTypeEmpty {
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	}
	p := m.Histogram().DataPoints().AppendEmpty()
	p.SetStartTimestamp(now - 1e9)
	p.SetTimestamp(now)
	bounds := []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	p.ExplicitBounds().FromRaw(bounds)
	for j := range len(bounds) + 1 {
		p.BucketCounts().Append(uint64(i * j % 1000))
	}
	p.SetCount(uint64(i) * 16)
	p.SetSum(float64(i) / 7)
	p.SetMin(0.0012345678)
	p.SetMax(3.21)
	attributes(p.Attributes(), i)
}

func exponential(m pmetric.Metric, i int) {
	if m.Type() == pmetric.MetricTypeEmpty {
		m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	}
	p := m.ExponentialHistogram().DataPoints().AppendEmpty()
	p.SetStartTimestamp(now - 1e9)
	p.SetTimestamp(now)
	p.SetScale(3)
	p.SetZeroCount(1)
	p.SetCount(uint64(i) * 16)
	p.SetSum(float64(i) / 7)
	p.Positive().SetOffset(-40)
	for j := range 60 {
		p.Positive().BucketCounts().Append(uint64(i * j % 1000))
	}
	attributes(p.Attributes(), i)
}

func spans(n int) ([]byte, error) {
	data := ptrace.NewTraces()
	group := data.ResourceSpans().AppendEmpty()
	resource(group.Resource())
	scope := group.ScopeSpans().AppendEmpty()
	scope.Scope().SetName("example.com/shop/orders")
	for i := range n {
		s := scope.Spans().AppendEmpty()
		s.SetTraceID(pcommon.TraceID{1, 2, 3, byte(i), byte(i >> 8), 15: 7})
		s.SetSpanID(pcommon.SpanID{9, byte(i), byte(i >> 8), 7: 7})
		s.SetParentSpanID(pcommon.SpanID{8, 7: 1})
		s.SetName("GET /orders/{id}")
		s.SetKind(ptrace.SpanKindServer)
		s.SetStartTimestamp(now)
		s.SetEndTimestamp(now + 12_345_678)
		attributes(s.Attributes(), i)
		s.Attributes().PutStr("url.full", "https://shop.example.com/orders/4711?name=J\u00fcrgen")
		e := s.Events().AppendEmpty()
		e.SetName("exception")
		e.SetTimestamp(now + 1)
		e.Attributes().PutStr("exception.message", "no such \"order\":\n\t4711")
		s.Status().SetCode(ptrace.StatusCodeError)
	}
	return (&ptrace.JSONMarshaler{}).MarshalTraces(data)
}

func logs(n int) ([]byte, error) {
	data := plog.NewLogs()
	group := data.ResourceLogs().AppendEmpty()
	resource(group.Resource())
	scope := group.ScopeLogs().AppendEmpty()
	for i := range n {
		r := scope.LogRecords().AppendEmpty()
		r.SetTimestamp(now)
		r.SetObservedTimestamp(now + 1)
		r.SetSeverityNumber(plog.SeverityNumberInfo)
		r.SetSeverityText("INFO")
		r.Body().
			SetStr(fmt.Sprintf(`{"level":"info","order":%d,"msg":"an order was taken, and this is what the log says of it"}`, i))
		r.SetTraceID(pcommon.TraceID{1, 2, 3, byte(i), byte(i >> 8), 15: 7})
		attributes(r.Attributes(), i)
	}
	return (&plog.JSONMarshaler{}).MarshalLogs(data)
}
