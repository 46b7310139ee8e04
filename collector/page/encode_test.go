package page

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"
)

// The encoders produce the same bytes as Prometheus's own.
func TestEncodeMatchesPrometheus(t *testing.T) {
	all := families(withPool(t))
	value := "a\\b\"c\nd é"
	label := []*dto.LabelPair{
		{Name: proto.String("of"), Value: &value},
		{Name: proto.String("to"), Value: proto.String("")},
	}
	numbers := []float64{0, 1, -1, 0.1, 123456, 1e6, 1e21, 1e-7, math.NaN(), math.Inf(1), math.Inf(-1), 5e-324}
	for name, kind := range map[string]dto.MetricType{"x_total": dto.MetricType_COUNTER, "y_ratio": dto.MetricType_GAUGE} {
		f := &dto.MetricFamily{Name: &name, Help: &value, Type: &kind}
		for _, n := range numbers {
			m := &dto.Metric{Label: label, Gauge: &dto.Gauge{Value: &n}}
			if kind == dto.MetricType_COUNTER {
				m = &dto.Metric{Counter: &dto.Counter{Value: &n}}
			}
			f.Metric = append(f.Metric, m)
		}
		all = append(all, f)
	}
	histogram := &dto.Histogram{SampleCount: proto.Uint64(12345678), SampleSum: proto.Float64(3), Bucket: []*dto.Bucket{
		{UpperBound: proto.Float64(1), CumulativeCount: proto.Uint64(1000000)},
		{UpperBound: proto.Float64(math.Inf(1)), CumulativeCount: proto.Uint64(12345678)},
	}}
	all = append(all, &dto.MetricFamily{
		Name: proto.String("z_seconds"), Help: proto.String(""), Type: dto.MetricType_HISTOGRAM.Enum(),
		Metric: []*dto.Metric{{Label: label, Histogram: histogram}, {Histogram: histogram}},
	})
	for _, accept := range []string{
		"", "text/plain", "text/plain;version=0.0.4", "application/json", "text/html;q=0.9,text/plain;q=0.1", "text/*",
		"text/plain;q=0.5,application/openmetrics-text;version=1.0.0;q=0.5",
		"application/openmetrics-text", "application/openmetrics-text;version=1.0.0",
		"application/openmetrics-text;version=0.0.1;q=0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," +
			"application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
	} {
		format := expfmt.NegotiateAccept(http.Header{"Accept": {accept}}, expfmt.DefaultOpenMetricsAcceptedFormats()...)
		var want bytes.Buffer
		encoder := expfmt.NewEncoder(&want, format)
		for _, f := range all {
			if err := encoder.Encode(f); err != nil {
				t.Fatal(err)
			}
		}
		if c, ok := encoder.(io.Closer); ok {
			_ = c.Close()
		}
		got := negotiate(accept)
		if string(got) != string(format) {
			t.Errorf("Accept %q: got the format %s, want %s", accept, got, format)
		}
		a, b := strings.Split(string(encode(all, got)), "\n"), strings.Split(want.String(), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Errorf("Accept %q, line %d: got\n%q\nwant\n%q", accept, i, a[i], b[i])
				break
			}
		}
		if len(a) != len(b) {
			t.Errorf("Accept %q: got %d lines, want %d", accept, len(a), len(b))
		}
	}
}
