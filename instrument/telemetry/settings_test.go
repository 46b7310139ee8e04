package telemetry

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func read(variables map[string]string) (settings, error) {
	return readSettings(func(name string) string { return variables[name] })
}

func TestReadSettings(t *testing.T) {
	initial := settings{
		protocol:    "grpc",
		endpointURL: "http://localhost:4317",
		interval:    10 * time.Second,
		useProducer: true,
	}
	with := func(change func(*settings)) settings {
		s := initial
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		variables map[string]string
		want      settings
	}{
		"nothing set":                      {nil, initial},
		"empty variables":                  {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": " ", "OTEL_SDK_DISABLED": ""}, initial},
		"exporter none":                    {map[string]string{"OTEL_METRICS_EXPORTER": "none"}, settings{off: true}},
		"disabled":                         {map[string]string{"OTEL_SDK_DISABLED": "True"}, settings{off: true}},
		"not disabled":                     {map[string]string{"OTEL_SDK_DISABLED": "false", "OTEL_METRICS_EXPORTER": "otlp"}, initial},
		"URL":                              {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector"}, with(func(s *settings) { s.endpointURL = "" })},
		"URL for metrics takes precedence": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "?", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "unix:///run/s"}, with(func(s *settings) { s.endpointURL = "" })},
		"host and port":                    {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "10.0.0.1:4317"}, with(func(s *settings) { s.endpointURL = "https://10.0.0.1:4317" })},
		"host and port without TLS": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", "OTEL_EXPORTER_OTLP_INSECURE": "TRUE"},
			with(func(s *settings) { s.endpointURL = "http://collector:4317" }),
		},
		"OTLP/HTTP": {map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, with(func(s *settings) {
			s.protocol, s.endpointURL = "http/protobuf", "http://localhost:4318/v1/metrics"
		})},
		"protocol for metrics takes precedence": {map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}, initial},
		"interval":                              {map[string]string{"OTEL_METRIC_EXPORT_INTERVAL": "250"}, with(func(s *settings) { s.interval = 250 * time.Millisecond })},
		"delta": {map[string]string{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}, with(func(s *settings) {
			s.useProducer = false
		})},
		"explicit buckets": {
			map[string]string{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "explicit_bucket_histogram"},
			with(func(s *settings) { s.useProducer = false }),
		},
		"valid variables that the SDK reads": {map[string]string{
			"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x, tenant=a", "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": "gzip",
			"OTEL_EXPORTER_OTLP_TIMEOUT": "500", "OTEL_RESOURCE_ATTRIBUTES": "a=b,c=", "OTEL_METRIC_EXPORT_TIMEOUT": "1000",
			"OTEL_METRICS_EXEMPLAR_FILTER": "always_off",
		}, initial},
	} {
		if got, err := read(c.variables); err != nil || got != c.want {
			t.Errorf("%s: got %+v, error %v; want %+v", name, got, err, c.want)
		}
	}
}

// Every error is a single line that begins with the variable's name, says what was expected and
// does not reveal a secret.
func TestInvalidSettings(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, c := range []struct{ name, given, want string }{
		{"OTEL_SDK_DISABLED", "yes", `expected true or false, got "yes"`},
		{"OTEL_METRICS_EXPORTER", "statsd", `expected otlp or none or console or prometheus, got "statsd"`},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", `expected grpc or http/protobuf, got "http/json"`},
		{"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "udp", `expected grpc or http/protobuf, got "udp"`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector", `expected http://host:4317, https://host:4317, unix:///path or host:4317, got "collector"`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector", `expected http://host:4317, https://host:4317, unix:///path or host:4317, got "http://collector"`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c:1", `expected http://host:4317, https://host:4317, unix:///path or host:4317, got "ftp://c:1"`},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://u:hush@c:1", "without a user, a password or a query"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "a=b,hush", "pair 2 is malformed"},
		{"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=hush%zz", "pair 1 is malformed"},
		{"OTEL_EXPORTER_OTLP_INSECURE", "1", `expected true or false, got "1"`},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", `expected none or gzip, got "zstd"`},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "10s", `expected a number of milliseconds from 1 to 86400000, got "10s"`},
		{"OTEL_METRIC_EXPORT_INTERVAL", "0", `expected a number of milliseconds from 1 to 86400000, got "0"`},
		{"OTEL_METRIC_EXPORT_TIMEOUT", "-5", `expected a number of milliseconds from 1 to 86400000, got "-5"`},
		{"OTEL_RESOURCE_ATTRIBUTES", "team", "pair 1 is malformed"},
		{"OTEL_METRICS_EXEMPLAR_FILTER", "some", `expected trace_based or always_on or always_off, got "some"`},
		{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "monthly", `expected cumulative or delta or lowmemory, got "monthly"`},
		{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "x", `expected base2_exponential_bucket_histogram or explicit_bucket_histogram, got "x"`},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", missing, "expected a file of PEM certificates"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "settings_test.go", `no PEM certificates found in "settings_test.go"`},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", missing, "set both this and OTEL_EXPORTER_OTLP_CLIENT_KEY, or neither"},
	} {
		_, err := read(map[string]string{c.name: c.given})
		if err == nil {
			t.Errorf("%s=%s was accepted", c.name, c.given)
			continue
		}
		text := err.Error()
		if !strings.HasPrefix(text, c.name+": ") || !strings.Contains(text, c.want) ||
			strings.ContainsAny(text, "\n") ||
			strings.Contains(text, "hush") {
			t.Errorf("%s=%s: got error %s\nwant one line with %s, and no secret", c.name, c.given, text, c.want)
		}
	}
	_, err := read(
		map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT": "c:4318"},
	)
	if err == nil || !strings.Contains(err.Error(), "expected http://host:4318 or https://host:4318") {
		t.Errorf("OTLP/HTTP to an endpoint without a scheme: got error %v, want one with the expected format", err)
	}
	if _, err := read(map[string]string{
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": missing, "OTEL_EXPORTER_OTLP_CLIENT_KEY": missing,
	}); err == nil || !strings.Contains(err.Error(), "expected a PEM certificate") {
		t.Errorf("missing client certificate: got error %v, want one with what was expected", err)
	}
}
