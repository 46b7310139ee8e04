package telemetry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/internal/certfile"
)

const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// settings are what the SDK does not read from the variables by itself, or takes otherwise.
type settings struct {
	off          bool
	advice       string // where it is off though metrics are wanted: what to do
	console      bool
	protocol     string
	endpointURL  string // empty: the SDK reads it
	interval     time.Duration
	producerFits bool // and not explicit buckets or deltas, which a Producer cannot hand over
}

const prometheusAdvice = "OTEL_METRICS_EXPORTER=prometheus: nothing is started, since a program serves Prometheus by a handler of its own: " +
	"give a MeterProvider with go.opentelemetry.io/otel/exporters/prometheus to otel.SetMeterProvider, and pools report through it; or leave " +
	"the variable unset, and scrape the sidecar"

// environment reads variables, and keeps the first error.
type environment struct {
	get func(string) string
	err error
}

// readSettings checks every variable that the SDK reads, and returns what it needs besides.
func readSettings(get func(string) string) (settings, error) {
	e := &environment{get: get}
	exporter := e.choice("OTEL_METRICS_EXPORTER", "otlp", "none", "console", "prometheus")
	if e.flag("OTEL_SDK_DISABLED") || exporter == "none" || e.err != nil {
		return settings{off: true}, e.err // what the rest says does not matter
	}
	if exporter == "prometheus" {
		return settings{off: true, advice: prometheusAdvice}, nil
	}
	s := settings{protocol: protocolGRPC, interval: defaultInterval, console: exporter == "console"}
	if name, given := e.otlp("PROTOCOL"); given != "" {
		s.protocol = e.choice(name, protocolGRPC, protocolHTTP)
	}
	if ms := e.milliseconds("OTEL_METRIC_EXPORT_INTERVAL"); ms > 0 {
		s.interval = ms
	}
	e.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT")
	e.choice("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based", "always_on", "always_off")
	e.pairs("OTEL_RESOURCE_ATTRIBUTES")
	temporality := e.choice("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative", "delta", "lowmemory")
	const exponential = "base2_exponential_bucket_histogram"
	histogram := e.choice(
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
		exponential,
		"explicit_bucket_histogram",
	)
	s.producerFits = temporality == "cumulative" && histogram == exponential
	if s.console {
		s.producerFits = true
		return s, e.err
	}
	e.checkConnection()
	s.endpointURL = e.endpoint(s.protocol)
	return s, e.err
}

// checkConnection checks the variables of the exporter that this package has no use for.
func (e *environment) checkConnection() {
	for _, prefix := range []string{otlpAll, otlpMetrics} {
		e.flag(prefix + "INSECURE")
		e.choice(prefix+"COMPRESSION", "none", "gzip")
		e.milliseconds(prefix + "TIMEOUT")
		e.pairs(prefix + "HEADERS")
		e.check(prefix+"CERTIFICATE", func(given string) error { _, err := certfile.Pool(given); return err })
		e.clientCertificate(prefix)
	}
}

const (
	otlpAll     = "OTEL_EXPORTER_OTLP_"
	otlpMetrics = "OTEL_EXPORTER_OTLP_METRICS_"
)

// otlp returns the variable that holds for metrics, and its value.
func (e *environment) otlp(ending string) (name, given string) {
	if given = e.value(otlpMetrics + ending); given != "" {
		return otlpMetrics + ending, given
	}
	return otlpAll + ending, e.value(otlpAll + ending)
}

func (e *environment) value(name string) string {
	return strings.TrimSpace(e.get(name))
}

func (e *environment) fail(name string, err error) {
	if e.err == nil && err != nil {
		e.err = fmt.Errorf("%s: %w", name, err)
	}
}

// check has a variable that is set checked by f.
func (e *environment) check(name string, f func(given string) error) {
	if given := e.value(name); given != "" {
		e.fail(name, f(given))
	}
}

// choice returns one of a few words, the first of which is the default.
func (e *environment) choice(name string, words ...string) string {
	given := e.value(name)
	if given == "" {
		return words[0]
	}
	if !slices.Contains(words, given) {
		e.fail(name, fmt.Errorf("expected %s, got %q", strings.Join(words, " or "), given))
	}
	return given
}

// flag returns whether the variable says true, in any case of letters.
func (e *environment) flag(name string) bool {
	given := e.value(name)
	on := strings.EqualFold(given, "true")
	if !on && given != "" && !strings.EqualFold(given, "false") {
		e.fail(name, fmt.Errorf("expected true or false, got %q", given))
	}
	return on
}

// milliseconds returns a positive number of them, or 0 if the variable is not set.
func (e *environment) milliseconds(name string) (d time.Duration) {
	const most = 24 * time.Hour
	e.check(name, func(given string) error {
		ms, err := strconv.ParseInt(given, 10, 64)
		if err != nil || ms <= 0 || ms > most.Milliseconds() {
			return fmt.Errorf("expected a number of milliseconds from 1 to %d, got %q", most.Milliseconds(), given)
		}
		d = time.Duration(ms) * time.Millisecond
		return nil
	})
	return d
}

// pairs checks keys with values. Values may be secrets, so that no error shows one.
func (e *environment) pairs(name string) {
	e.check(name, func(given string) error {
		for i, pair := range strings.Split(given, ",") {
			key, value, found := strings.Cut(pair, "=")
			_, err := url.PathUnescape(value)
			if !found || err != nil || strings.TrimSpace(key) == "" {
				return fmt.Errorf("expected key=value,key=value with percent-encoded values; pair %d is not one", i+1)
			}
		}
		return nil
	})
}

// clientCertificate checks that there is a certificate and its key, or neither.
func (e *environment) clientCertificate(prefix string) {
	certificate, key := e.value(prefix+"CLIENT_CERTIFICATE"), e.value(prefix+"CLIENT_KEY")
	switch {
	case (certificate == "") != (key == ""):
		e.fail(prefix+"CLIENT_CERTIFICATE", errors.New("expected it and "+prefix+"CLIENT_KEY, or neither"))
	case certificate != "":
		if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
			e.fail(
				prefix+"CLIENT_CERTIFICATE",
				fmt.Errorf("expected a PEM file with %sCLIENT_KEY its key: %w", prefix, err),
			)
		}
	}
}

// where returns where metrics go, for a person.
func (s settings) where(get func(string) string) string {
	if s.endpointURL != "" {
		return strings.TrimSuffix(strings.TrimPrefix(s.endpointURL, "http://"), "/v1/metrics")
	}
	_, given := (&environment{get: get}).otlp("ENDPOINT")
	return strings.TrimPrefix(given, "http://")
}

// endpoint returns the URL that the exporter needs to be told, or nothing if it reads the variable
// right.
func (e *environment) endpoint(protocol string) string {
	name, given := e.otlp("ENDPOINT")
	switch {
	case given == "" && protocol == protocolHTTP:
		return "http://localhost:4318/v1/metrics"
	case given == "":
		return "http://localhost:4317"
	case isURL(given, protocol):
		return ""
	case isHostPort(given) && protocol == protocolGRPC:
		if name, _ := e.otlp("INSECURE"); e.flag(name) {
			return "http://" + given
		}
		return "https://" + given
	}
	expected := "expected http://host:4317, https://host:4317, unix:///path or host:4317"
	if protocol == protocolHTTP {
		expected = "expected http://host:4318 or https://host:4318"
	}
	if strings.ContainsAny(given, "@?") { // which may be secrets
		e.fail(name, errors.New(expected+", without a user, a password or a query; see OTEL_EXPORTER_OTLP_HEADERS"))
	} else {
		e.fail(name, fmt.Errorf("%s, got %q", expected, given))
	}
	return ""
}

func isURL(given, protocol string) bool {
	u, err := url.Parse(given)
	if err != nil || u.User != nil || u.RawQuery != "" {
		return false
	}
	switch u.Scheme {
	case "http": // a port is what gRPC would guess wrong
		return u.Hostname() != "" && (u.Port() != "" || protocol == protocolHTTP)
	case "https":
		return u.Hostname() != ""
	case "unix":
		return protocol == protocolGRPC && u.Host == "" && u.Path != ""
	default:
		return false
	}
}

func isHostPort(given string) bool {
	host, port, err := net.SplitHostPort(given)
	_, portErr := strconv.ParseUint(port, 10, 16)
	return err == nil && portErr == nil && host != "" && !strings.ContainsAny(given, "@/? ")
}
