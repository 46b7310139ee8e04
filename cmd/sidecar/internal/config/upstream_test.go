package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// urls returns the endpoint URL of each signal, in the order of otlp.Signals. "-" means that a
// signal has none.
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

func TestHTTPEndpointsIncludeThePathOfTheSignal(t *testing.T) {
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
			t.Errorf("%s: got URLs %s, want %s", environ, got, want)
		}
	}
}

func TestTheExportTimeoutLimitsMetricsOnly(t *testing.T) {
	for name, c := range map[string]struct {
		environ string
		metrics time.Duration
	}{
		"shorter than a request's": {"OTEL_METRIC_EXPORT_TIMEOUT=700", 700 * time.Millisecond},
		"longer than a request's":  {"OTEL_METRIC_EXPORT_TIMEOUT=20000", 10 * time.Second},
	} {
		s := mustParse(t, nil, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://h:1", c.environ})
		for _, signal := range otlp.Signals() {
			want := 10 * time.Second
			if signal == otlp.Metrics {
				want = c.metrics
			}
			if upstream, ok := s.Upstream(signal, ""); !ok || upstream.Timeout != want {
				t.Errorf("%s: the timeout of %s is %v, want %v", name, signal, upstream.Timeout, want)
			}
		}
	}
}

// With an endpoint only for traces, the app's traces are relayed, and no metrics are sent.
func TestEndpointForOneSignalIsUsedOnlyForThatSignal(t *testing.T) {
	environ := []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t:1"}
	if s := mustParse(
		t,
		nil,
		environ,
	); !s.SendsOTLP() || s.Sends(otlp.Metrics) || !s.Sends(otlp.Traces) || s.Sends(otlp.Logs) ||
		!s.ShowsSummary() {
		t.Error("traces are not the only signal that is sent, or no summary is shown")
	}
	s := mustParse(t, []string{"--exporter", "otlp", "--relay-grpc-address", "off"}, environ)
	if got, want := urls(s), "http://localhost:4317 http://t:1 http://localhost:4317"; got != want {
		t.Errorf("with --exporter otlp: got URLs %s, want %s", got, want)
	}
}

// Each variable in the specification works for a single signal and for all signals.
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/
func TestVariablesOfOneSignalOverrideThoseOfAll(t *testing.T) {
	pair := selfSigned(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("# renewed hourly\nauthorization=Bearer x=y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	get := func(c export.Config) map[string]string {
		headers, err := c.Headers()
		if err != nil {
			t.Fatal(err)
		}
		config, err := c.TLS()
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{
			"PROTOCOL":           c.Protocol,
			"COMPRESSION":        c.Compression,
			"TIMEOUT":            c.Timeout.String(),
			"HEADERS":            fmt.Sprint(headers),
			"ENDPOINT":           c.URL,
			"INSECURE":           c.URL,
			"CERTIFICATE":        fmt.Sprint(config != nil && config.RootCAs != nil),
			"CLIENT_CERTIFICATE": fmt.Sprint(config != nil && len(config.Certificates) == 1),
		}
	}
	for name, row := range map[string]struct{ given, want, initial string }{
		"ENDPOINT":           {"https://own:1", "https://own:1", "https://all:1"},
		"PROTOCOL":           {"http/protobuf", "http/protobuf", "grpc"},
		"INSECURE":           {"true", "http://all:1", "https://all:1"},
		"HEADERS":            {"a=b", "map[a:b]", "map[]"},
		"COMPRESSION":        {"gzip", "gzip", "none"},
		"TIMEOUT":            {"1500", "1.5s", "10s"},
		"CERTIFICATE":        {pair.cert, "true", "false"},
		"CLIENT_CERTIFICATE": {pair.cert, "true", "false"},
	} {
		for _, signal := range append(otlp.Signals(), 0) { // 0: all signals
			prefix := "OTEL_EXPORTER_OTLP_"
			if signal != 0 {
				prefix += strings.ToUpper(signal.String()) + "_"
			}
			environ := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://all:1", prefix + name + "=" + row.given}
			switch name {
			case "INSECURE":
				environ[0] = "OTEL_EXPORTER_OTLP_ENDPOINT=all:1"
			case "CLIENT_CERTIFICATE":
				environ = append(environ, prefix+"CLIENT_KEY="+pair.key)
			}
			s := mustParse(t, nil, environ)
			for _, sent := range otlp.Signals() {
				c, ok := s.Upstream(sent, "agent/1")
				want := row.initial
				if signal == 0 || sent == signal {
					want = row.want
				}
				if got := get(c)[name]; got != want || !ok || c.UserAgent != "agent/1" {
					t.Errorf("with %s%s: got %s for %s, want %s", prefix, name, got, sent, want)
				}
			}
		}
	}
	s := mustParse(
		t,
		[]string{
			"--otlp-endpoint=http://h:1",
			"--otlp-headers=tenant=all",
			"--otlp-headers-file=" + token,
			"--otlp-logs-headers=tenant=logs",
		},
		nil,
	)
	for signal, want := range map[otlp.Signal]string{otlp.Metrics: "map[authorization:Bearer x=y tenant:all]", otlp.Logs: "map[tenant:logs]"} {
		if c, _ := s.Upstream(signal, ""); get(c)["HEADERS"] != want {
			t.Errorf("%s: headers %s, want %s", signal, get(c)["HEADERS"], want)
		}
	}
}

func TestExporterNoneTurnsOffItsSignal(t *testing.T) {
	for variable, signal := range map[string]otlp.Signal{"METRICS": otlp.Metrics, "TRACES": otlp.Traces, "LOGS": otlp.Logs} {
		s := mustParse(
			t,
			nil,
			[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://h:1", "OTEL_" + variable + "_EXPORTER=none"},
		)
		for _, other := range otlp.Signals() {
			if s.Sends(other) != (other != signal) {
				t.Errorf("OTEL_%s_EXPORTER=none: Sends(%s) is %v", variable, other, s.Sends(other))
			}
		}
	}
}

// An upstream that cannot work is rejected at startup.
func TestUpstreamsThatCannotWorkAreRejected(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--otlp-endpoint http://h:4318": "--otlp-endpoint: port 4318 is the default port of http/protobuf: expected --otlp-protocol http/protobuf",
		"--otlp-logs-endpoint http://h:4317/v1/logs --otlp-logs-protocol http/protobuf": "--otlp-logs-endpoint: port 4317 is the default port of grpc: expected --otlp-logs-protocol grpc",
		"--otlp-endpoint http://" + name + ":4317 --relay-grpc-address 0.0.0.0:4317":    "--otlp-endpoint: " + name + ":4317 is the address of this sidecar's own listener",
		"--otlp-endpoint http://x.localhost:4317":                                       "--otlp-endpoint: x.localhost:4317 is the address of this sidecar's own listener (--relay-grpc-address)",
		"--otlp-endpoint http://h:1 --exporter otlp,console --temporality delta":        "--temporality: expected cumulative with --exporter console",
		"--otlp-traces-client-certificate " + selfSigned(t).cert:                        "--otlp-traces-client-certificate and --otlp-client-key: expected both or neither",
		"--otlp-headers-file /no/such":                                                  "--otlp-headers-file: cannot read the headers file",
	} {
		if _, err := parse(strings.Fields(args), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %s", args, err, want)
		}
	}
}

// Headers may come only from a file.
func TestHeadersOnlyFromAFile(t *testing.T) {
	headers, err := headersOf(nil, write(t, "token", "\n# a comment\n a = b=c \n"))()
	if err != nil || fmt.Sprint(headers) != "map[a:b=c]" {
		t.Errorf("got headers %v, error %v; want map[a:b=c]", headers, err)
	}
	for content, want := range map[string]string{"a=b\nc\n": "token:2: expected key=value", "# a=b\n": "found none", "é=b": "token:1: expected key=value"} {
		if _, err := parse(
			[]string{"--otlp-headers-file", write(t, "token", content)},
			nil,
		); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %s", content, err, want)
		}
	}
}

// A renewed token is reread. While its file is half written, the previous token stays in use.
func TestHeadersFileIsReread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "token")
		headers := headersOf(map[string]string{"tenant": "a"}, file)
		if _, err := headers(); err == nil {
			t.Error("no error although the file does not exist")
		}
		for _, step := range []struct{ content, want string }{
			{"authorization=one", "map[authorization:one tenant:a]"},
			{"authoriz", "map[authorization:one tenant:a]"},
			{"authorization=two", "map[authorization:two tenant:a]"},
		} {
			if err := os.WriteFile(file, []byte(step.content), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * rereadAfter)
			if got, err := headers(); err != nil || fmt.Sprint(got) != step.want {
				t.Errorf("%s: got headers %v, error %v; want %s", step.content, got, err, step.want)
			}
		}
	})
}

func TestUnixSocketNeedsGRPC(t *testing.T) {
	_, err := parse(
		[]string{
			"--otlp-endpoint",
			"http://h:1",
			"--otlp-protocol",
			"http/protobuf",
			"--otlp-logs-endpoint",
			"unix:///run/x.sock",
		},
		nil,
	)
	if err == nil ||
		!strings.Contains(
			err.Error(),
			"--otlp-logs-endpoint: expected http or https with the protocol http/protobuf, got unix:///run/x.sock",
		) {
		t.Errorf("got error %v, want one about --otlp-logs-endpoint", err)
	}
}

func TestNoSignalIsSentToTheSidecarItself(t *testing.T) {
	_, err := parse(
		[]string{"--otlp-endpoint", "http://collector:4317", "--otlp-traces-endpoint", "http://localhost:4317"},
		nil,
	)
	if err == nil ||
		!strings.Contains(err.Error(), "--otlp-traces-endpoint: localhost:4317 is the address of this sidecar") {
		t.Errorf("got error %v, want one about --otlp-traces-endpoint", err)
	}
}

// TLS reads the files at each call, and returns an error if they are no longer valid.
func TestCertificatesAreReread(t *testing.T) {
	one, two := selfSigned(t), selfSigned(t)
	s := mustParse(
		t,
		[]string{"--otlp-certificate", one.cert, "--otlp-client-certificate", one.cert, "--otlp-client-key", one.key},
		nil,
	)
	before, err := s.TLS(otlp.Metrics)
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
	after, err := s.TLS(otlp.Metrics)
	if err != nil || before.RootCAs.Equal(after.RootCAs) ||
		reflect.DeepEqual(before.Certificates[0].Certificate, after.Certificates[0].Certificate) {
		t.Errorf("the replaced files were not reread, or TLS failed: %v", err)
	}
	if err := os.WriteFile(one.cert, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TLS(
		otlp.Metrics,
	); err == nil ||
		!strings.Contains(err.Error(), "--otlp-certificate: no PEM certificates found in") {
		t.Errorf("got error %v, want one about --otlp-certificate", err)
	}
}
