package otlp_test

import (
	"encoding/hex"
	"os"
	"testing"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// example returns an example request of s. The examples are modeled on those of the specification
// (opentelemetry-proto/examples).
func example(t testing.TB, s otlp.Signal) []byte {
	t.Helper()
	body, err := os.ReadFile("testdata/" + s.String() + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// fromJSON decodes the result of FromJSON into m.
func fromJSON(t *testing.T, s otlp.Signal, body []byte, m proto.Message) {
	t.Helper()
	data, err := otlp.FromJSON(s, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
	if n, err := otlp.Inspect(s, data); n != countPoints(m) || err != nil {
		t.Errorf("%v: Inspect = %d, %v, want %d", s, n, err, countPoints(m))
	}
}

func TestExampleTrace(t *testing.T) {
	m := &tracepb.TracesData{}
	fromJSON(t, otlp.Traces, example(t, otlp.Traces), m)
	span := m.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]
	checkID(t, span.GetTraceId(), "5b8efff798038103d269b633813fc60c")
	checkID(t, span.GetSpanId(), "eee19b7ec3c1b174")
	checkID(t, span.GetParentSpanId(), "eee19b7ec3c1b173")
	checkID(t, span.GetLinks()[0].GetTraceId(), "5b8efff798038103d269b633813fc60d")
	checkID(t, span.GetLinks()[0].GetSpanId(), "")
	if span.GetStartTimeUnixNano() != 1544712660000000000 || span.GetKind() != tracepb.Span_SPAN_KIND_SERVER {
		t.Errorf("got %v", span)
	}
}

func TestExampleLogs(t *testing.T) {
	m := &logspb.LogsData{}
	fromJSON(t, otlp.Logs, example(t, otlp.Logs), m)
	record := m.GetResourceLogs()[0].GetScopeLogs()[0].GetLogRecords()[0]
	checkID(t, record.GetTraceId(), "5b8efff798038103d269b633813fc60c")
	checkID(t, record.GetSpanId(), "eee19b7ec3c1b174")
	if record.GetBody().GetStringValue() != "Example log record" || len(record.GetAttributes()) != 7 {
		t.Errorf("got %v", record)
	}
}

func TestExampleMetrics(t *testing.T) {
	m := &metricspb.MetricsData{}
	fromJSON(t, otlp.Metrics, example(t, otlp.Metrics), m)
	metrics := m.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()
	if len(metrics) != 4 || metrics[0].GetSum().GetDataPoints()[0].GetAsDouble() != 5 ||
		metrics[3].GetExponentialHistogram().GetDataPoints()[0].GetPositive().GetOffset() != 1 {
		t.Errorf("got %v", metrics)
	}
	for i, want := range []string{"5b8efff798038103d269b633813fc600", "", "5b8efff798038103d269b633813fc602", "5b8efff798038103d269b633813fc603"} {
		for _, exemplar := range exemplars(metrics[i]) {
			checkID(t, exemplar.GetTraceId(), want)
			checkID(t, exemplar.GetSpanId(), "eee19b7ec3c1b174")
		}
		if got := len(exemplars(metrics[i])); (want != "") != (got == 1) {
			t.Errorf("metric %d has %d exemplars", i, got)
		}
	}
}

func exemplars(m *metricspb.Metric) (all []*metricspb.Exemplar) {
	for _, p := range append(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()...) {
		all = append(all, p.GetExemplars()...)
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		all = append(all, p.GetExemplars()...)
	}
	for _, p := range m.GetExponentialHistogram().GetDataPoints() {
		all = append(all, p.GetExemplars()...)
	}
	return all
}

func checkID(t *testing.T, got []byte, want string) {
	t.Helper()
	if hex.EncodeToString(got) != want {
		t.Errorf("got ID %x, want %s", got, want)
	}
}
