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

// settings holds the values of variables that the SDK does not read itself, or does not interpret
// as specified.
type settings struct {
	off         bool
	advice      string // what to do instead, if the settings request an exporter that Start does not support
	console     bool
	protocol    string
	endpointURL string // if empty, the SDK reads the variable itself
	interval    time.Duration
	useProducer bool // always for the console, otherwise unless explicit buckets or deltas are requested
}

const prometheusAdvice = "OTEL_METRICS_EXPORTER=prometheus: nothing is started, since the program must serve Prometheus itself: " +
	"pass a MeterProvider with go.opentelemetry.io/otel/exporters/prometheus to otel.SetMeterProvider, and pools report through it; " +
	"or unset the variable, and scrape the sidecar"

// environment reads environment variables and keeps the first error.
type environment struct {
	get func(string) string
	err error
}

// readSettings reads the settings, and checks every variable that the SDK reads.
func readSettings(get func(string) string) (settings, error) {
	e := &environment{get: get}
	exporter := e.choice("OTEL_METRICS_EXPORTER", "otlp", "none", "console", "prometheus")
	if e.flag("OTEL_SDK_DISABLED") || exporter == "none" || e.err != nil {
		return settings{off: true}, e.err // the other variables do not matter
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
	s.useProducer = temporality == "cumulative" && histogram == exponential
	if s.console {
		s.useProducer = true
		return s, e.err
	}
	e.checkConnection()
	s.endpointURL = e.endpoint(s.protocol)
	return s, e.err
}

// checkConnection checks the variables that only the exporter uses.
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

// otlp returns the name and the value of the OTLP variable with the given suffix that applies to
// metrics.
func (e *environment) otlp(suffix string) (name, given string) {
	if given = e.value(otlpMetrics + suffix); given != "" {
		return otlpMetrics + suffix, given
	}
	return otlpAll + suffix, e.value(otlpAll + suffix)
}

func (e *environment) value(name string) string {
	return strings.TrimSpace(e.get(name))
}

// fail records the first error, for the variable called name. A nil err is ignored.
func (e *environment) fail(name string, err error) {
	if e.err == nil && err != nil {
		e.err = fmt.Errorf("%s: %w", name, err)
	}
}

// check calls f with the value of the named variable if the variable is set.
func (e *environment) check(name string, f func(given string) error) {
	if given := e.value(name); given != "" {
		e.fail(name, f(given))
	}
}

// choice returns the variable's value, which must be one of words. The first word is the default.
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

// flag reports whether the variable is "true", ignoring case.
func (e *environment) flag(name string) bool {
	given := e.value(name)
	on := strings.EqualFold(given, "true")
	if !on && given != "" && !strings.EqualFold(given, "false") {
		e.fail(name, fmt.Errorf("expected true or false, got %q", given))
	}
	return on
}

// milliseconds returns the variable's value as a positive duration, or 0 if the variable is unset.
func (e *environment) milliseconds(name string) (d time.Duration) {
	const limit = 24 * time.Hour
	e.check(name, func(given string) error {
		ms, err := strconv.ParseInt(given, 10, 64)
		if err != nil || ms <= 0 || ms > limit.Milliseconds() {
			return fmt.Errorf("expected a number of milliseconds from 1 to %d, got %q", limit.Milliseconds(), given)
		}
		d = time.Duration(ms) * time.Millisecond
		return nil
	})
	return d
}

// pairs checks that the variable's value is a list of key=value pairs. Errors do not contain
// values, which may be secrets.
func (e *environment) pairs(name string) {
	e.check(name, func(given string) error {
		for i, pair := range strings.Split(given, ",") {
			key, value, found := strings.Cut(pair, "=")
			_, err := url.PathUnescape(value)
			if !found || err != nil || strings.TrimSpace(key) == "" {
				return fmt.Errorf("expected key=value,key=value with percent-encoded values; pair %d is malformed", i+1)
			}
		}
		return nil
	})
}

// clientCertificate checks that a client certificate and its key are either both set or both unset.
func (e *environment) clientCertificate(prefix string) {
	certificate, key := e.value(prefix+"CLIENT_CERTIFICATE"), e.value(prefix+"CLIENT_KEY")
	switch {
	case (certificate == "") != (key == ""):
		e.fail(prefix+"CLIENT_CERTIFICATE", errors.New("set both this and "+prefix+"CLIENT_KEY, or neither"))
	case certificate != "":
		if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
			e.fail(
				prefix+"CLIENT_CERTIFICATE",
				fmt.Errorf(
					"expected a PEM certificate whose key is in the file named by %sCLIENT_KEY: %w",
					prefix,
					err,
				),
			)
		}
	}
}

// displayEndpoint returns the endpoint as shown in messages.
func (s settings) displayEndpoint(get func(string) string) string {
	if s.endpointURL != "" {
		return strings.TrimSuffix(strings.TrimPrefix(s.endpointURL, "http://"), "/v1/metrics")
	}
	_, given := (&environment{get: get}).otlp("ENDPOINT")
	return strings.TrimPrefix(given, "http://")
}

// endpoint returns the URL to pass to the exporter, or "" if the exporter can read the variable
// itself.
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
	if strings.ContainsAny(given, "@?") { // may contain secrets
		e.fail(name, errors.New(expected+", without a user, a password or a query; see OTEL_EXPORTER_OTLP_HEADERS"))
	} else {
		e.fail(name, fmt.Errorf("%s, got %q", expected, given))
	}
	return ""
}

// isURL reports whether given is a URL that the exporter for protocol uses unchanged.
func isURL(given, protocol string) bool {
	u, err := url.Parse(given)
	if err != nil || u.User != nil || u.RawQuery != "" {
		return false
	}
	switch u.Scheme {
	case "http": // gRPC would use the wrong port
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
