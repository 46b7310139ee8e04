package config

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// urls are where the signals go, by the order of otlp.Signals, an empty one being "-".
func urls(s *Settings) string {
	var all []string
	for _, signal := range otlp.Signals() {
		u := s.EndpointURL(signal)
		if u == "" {
			u = "-"
		}
		all = append(all, u)
	}
	return strings.Join(all, " ")
}

// The specification says what is appended to which endpoint.
func TestEndpointsOfSignals(t *testing.T) {
	const http = "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf "
	for environ, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://h:4317":                                                   "http://h:4317 http://h:4317 http://h:4317",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://h:1 OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t:2":        "http://h:1 http://t:2 http://h:1",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://m:1":                                              "http://m:1 - -",
		http + "OTEL_EXPORTER_OTLP_ENDPOINT=http://h:4318":                                            "http://h:4318/v1/metrics http://h:4318/v1/traces http://h:4318/v1/logs",
		http + "OTEL_EXPORTER_OTLP_ENDPOINT=https://h/otlp/":                                          "https://h/otlp/v1/metrics https://h/otlp/v1/traces https://h/otlp/v1/logs",
		http + "OTEL_EXPORTER_OTLP_ENDPOINT=h:1 OTEL_EXPORTER_OTLP_INSECURE=true":                     "http://h:1/v1/metrics http://h:1/v1/traces http://h:1/v1/logs",
		http + "OTEL_EXPORTER_OTLP_ENDPOINT=http://h:1 OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://l:2/x": "http://h:1/v1/metrics http://h:1/v1/traces http://l:2/x",
		http + "OTEL_METRICS_EXPORTER=otlp POOLGAUGE_RELAY_HTTP_ADDRESS=off":                          "http://localhost:4318/v1/metrics http://localhost:4318/v1/traces http://localhost:4318/v1/logs",
	} {
		s := mustParse(t, nil, strings.Fields(environ))
		if got := urls(s); got != want || !s.SendsOTLP() {
			t.Errorf("%s: %s, want %s", environ, got, want)
		}
	}
}

// An endpoint for the traces of the app alone does not say where the sidecar's metrics go.
func TestEndpointWithoutMetrics(t *testing.T) {
	environ := []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t:1"}
	if s := mustParse(t, nil, environ); s.SendsOTLP() || !s.ShowsSummary() {
		t.Error("sends OTLP")
	}
	s := mustParse(t, []string{"--exporter", "otlp", "--relay-grpc-address", "off"}, environ)
	if got := urls(s); got != "http://localhost:4317 http://t:1 http://localhost:4317" {
		t.Error(got)
	}
}

func TestUpstream(t *testing.T) {
	s := mustParse(t, nil, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://h:1", "OTEL_EXPORTER_OTLP_HEADERS=tenant=all", "OTEL_EXPORTER_OTLP_LOGS_HEADERS=tenant=logs",
		"OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
	})
	got := s.Upstream("agent/1")
	all := export.Endpoint{URL: "https://h:1", Headers: map[string]string{"tenant": "all"}}
	want := map[otlp.Signal]export.Endpoint{
		otlp.Metrics: all, otlp.Traces: all, otlp.Logs: {URL: "https://h:1", Headers: map[string]string{"tenant": "logs"}},
	}
	if !reflect.DeepEqual(got.Endpoints, want) || got.Protocol != "grpc" || !got.Gzip || got.UserAgent != "agent/1" || got.TLS == nil {
		t.Errorf("%+v", got)
	}
}

func TestUnixSocketNeedsGRPC(t *testing.T) {
	_, err := parse([]string{"--otlp-endpoint", "http://h:1", "--otlp-protocol", "http/protobuf", "--otlp-logs-endpoint", "unix:///run/x.sock"}, nil)
	if err == nil || !strings.Contains(err.Error(), "--otlp-logs-endpoint: expected http or https with the protocol http/protobuf, got unix:///run/x.sock") {
		t.Error(err)
	}
}

// An endpoint of one signal that is the sidecar itself is a circle too.
func TestSignalIsNotSentToTheSidecarItself(t *testing.T) {
	_, err := parse([]string{"--otlp-endpoint", "http://collector:4317", "--otlp-traces-endpoint", "http://localhost:4317"}, nil)
	if err == nil || !strings.Contains(err.Error(), "--otlp-traces-endpoint: expected another") {
		t.Error(err)
	}
}

// Each call reads the files, and says so if they are no good any more.
func TestTLSIsReadAgain(t *testing.T) {
	one, two := selfSigned(t), selfSigned(t)
	s := mustParse(t, []string{"--otlp-certificate", one.cert, "--otlp-client-certificate", one.cert, "--otlp-client-key", one.key}, nil)
	before, err := s.TLS()
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{two.cert: one.cert, two.key: one.key} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	after, err := s.TLS()
	if err != nil || before.RootCAs.Equal(after.RootCAs) || reflect.DeepEqual(before.Certificates[0].Certificate, after.Certificates[0].Certificate) {
		t.Errorf("nothing changed: %v", err)
	}
	if err := os.WriteFile(one.cert, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TLS(); err == nil || !strings.Contains(err.Error(), "--otlp-certificate: expected a file of PEM certificates, found none in") {
		t.Error(err)
	}
}
