package config

import (
	"crypto/tls"
	"net/url"
	"slices"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// upstream returns the upstream settings for signal. If a setting has no override for signal, the
// setting for all signals applies.
func (s *Settings) upstream(signal otlp.Signal) upstreamSettings {
	u, own := s.otlp, s.signals[signal]
	for name, override := range map[string]func(){
		"endpoint":           func() { u.endpoint = own.endpoint },
		"protocol":           func() { u.protocol = own.protocol },
		"headers":            func() { u.headers, u.headersFile = own.headers, "" },
		"insecure":           func() { u.insecure = own.insecure },
		"certificate":        func() { u.certificate = own.certificate },
		"client-certificate": func() { u.clientCert = own.clientCert },
		"client-key":         func() { u.clientKey = own.clientKey },
		"compression":        func() { u.compression = own.compression },
		"timeout":            func() { u.timeout = own.timeout },
	} {
		if own.given[name] {
			override()
		}
	}
	if own.given["headers-file"] {
		if !own.given["headers"] {
			u.headers = nil
		}
		u.headersFile = own.headersFile
	}
	return u
}

// flagOf returns the flag that determines the setting called name for signal.
func (s *Settings) flagOf(signal otlp.Signal, name string) string {
	if s.signals[signal].given[name] {
		return "--otlp-" + signal.String() + "-" + name
	}
	return "--otlp-" + name
}

// Sends reports whether signal is sent to an upstream.
func (s *Settings) Sends(signal otlp.Signal) bool {
	if s.EndpointURL(signal) == "" || s.loops[signal] {
		return false
	}
	switch signal {
	case otlp.Traces:
		return s.tracesExporter != "none"
	case otlp.Logs:
		return s.logsExporter != "none"
	default:
		return s.exports("otlp", true)
	}
}

// SendsOTLP reports whether any signal is sent to an upstream.
func (s *Settings) SendsOTLP() bool { return slices.ContainsFunc(otlp.Signals(), s.Sends) }

// ShowsSummary reports whether a summary is written to the terminal. With KeepRunning, standard
// output is a log, and the summary is written only on request.
func (s *Settings) ShowsSummary() bool {
	return s.exports("console", s.EndpointURL(otlp.Metrics) == "" && !s.KeepRunning)
}

// exports reports whether metrics go to the exporter called name. They do if the settings list it,
// or if they list auto and autoSelects is true.
func (s *Settings) exports(name string, autoSelects bool) bool {
	return slices.Contains(s.Exporters, name) || autoSelects && slices.Contains(s.Exporters, "auto")
}

// Upstream returns the configuration for sending signal. ok is false if signal is not sent.
func (s *Settings) Upstream(signal otlp.Signal, userAgent string) (c export.Config, ok bool) {
	if !s.Sends(signal) {
		return export.Config{}, false
	}
	u := s.upstream(signal)
	c = export.Config{
		Protocol:    u.protocol,
		URL:         s.EndpointURL(signal),
		Compression: u.compression,
		Timeout:     u.timeout,
		UserAgent:   userAgent,
		RoundRobin:  s.roundRobin,
		Headers:     headersOf(u.headers, u.headersFile),
		TLS:         func() (*tls.Config, error) { return s.TLS(signal) },
	}
	if signal == otlp.Metrics {
		c.Timeout = min(c.Timeout, s.exportTimeout)
	}
	return c, true
}

// EndpointURL returns the URL to which signal is sent, or "" if there is none. If the endpoint is
// given as host:port, otlp-insecure determines the scheme. Over HTTP, the signal's path is appended
// to an endpoint for all signals, as specified in
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp.
func (s *Settings) EndpointURL(signal otlp.Signal) string {
	u := s.upstream(signal)
	to := u.endpoint
	if to == (url.URL{}) {
		return ""
	}
	if to.Scheme == "" {
		to.Scheme = "https"
		if u.insecure {
			to.Scheme = "http"
		}
	}
	if u.protocol == export.HTTPProtobuf && !s.signals[signal].given["endpoint"] {
		return to.JoinPath("v1", signal.String()).String()
	}
	return to.String()
}
