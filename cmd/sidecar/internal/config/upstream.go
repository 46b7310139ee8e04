package config

import (
	"crypto/tls"
	"net/url"
	"slices"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// upstream returns the settings of a signal: its own, and for the rest those of all signals.
func (s *Settings) upstream(signal otlp.Signal) SignalUpstream {
	u, own := s.OTLP, s.OTLPSignals[signal]
	for name, override := range map[string]func(){
		"endpoint":           func() { u.Endpoint = own.Endpoint },
		"protocol":           func() { u.Protocol = own.Protocol },
		"headers":            func() { u.Headers, u.HeadersFile = own.Headers, "" },
		"insecure":           func() { u.Insecure = own.Insecure },
		"certificate":        func() { u.Certificate = own.Certificate },
		"client-certificate": func() { u.ClientCert = own.ClientCert },
		"client-key":         func() { u.ClientKey = own.ClientKey },
		"compression":        func() { u.Compression = own.Compression },
		"timeout":            func() { u.Timeout = own.Timeout },
	} {
		if own.given[name] {
			override()
		}
	}
	if own.given["headers-file"] {
		if !own.given["headers"] {
			u.Headers = nil
		}
		u.HeadersFile = own.HeadersFile
	}
	return u
}

// flagOf returns the flag that decides a setting of the signal.
func (s *Settings) flagOf(signal otlp.Signal, name string) string {
	if s.OTLPSignals[signal].given[name] {
		return "--otlp-" + signal.String() + "-" + name
	}
	return "--otlp-" + name
}

// Sends reports whether a signal is sent to an upstream.
func (s *Settings) Sends(signal otlp.Signal) bool {
	if s.EndpointURL(signal) == "" || s.loops[signal] {
		return false
	}
	switch signal {
	case otlp.Traces:
		return s.TracesExporter != "none"
	case otlp.Logs:
		return s.LogsExporter != "none"
	default:
		return s.exports("otlp", true)
	}
}

// SendsOTLP reports whether any signal is sent to an upstream.
func (s *Settings) SendsOTLP() bool { return slices.ContainsFunc(otlp.Signals(), s.Sends) }

// ShowsSummary reports whether a summary is written to the terminal. With KeepRunning standard
// output is a log, which gets one only if asked for.
func (s *Settings) ShowsSummary() bool {
	return s.exports("console", s.EndpointURL(otlp.Metrics) == "" && !s.KeepRunning)
}

// exports reports whether metrics go to an exporter: one that was asked for, or by auto.
func (s *Settings) exports(name string, auto bool) bool {
	return slices.Contains(s.Exporters, name) || auto && slices.Contains(s.Exporters, "auto")
}

// Upstream returns how to send a signal; ok is false if it is not sent. The Timeout is that of one
// request.
func (s *Settings) Upstream(signal otlp.Signal, userAgent string) (c export.Config, ok bool) {
	if !s.Sends(signal) {
		return export.Config{}, false
	}
	u := s.upstream(signal)
	c = export.Config{
		Protocol:    u.Protocol,
		URL:         s.EndpointURL(signal),
		Compression: u.Compression,
		Timeout:     u.Timeout,
		UserAgent:   userAgent,
		RoundRobin:  s.OTLPRoundRobin,
		Headers:     headersOf(u.Headers, u.HeadersFile),
		TLS:         func() (*tls.Config, error) { return s.TLS(signal) },
	}
	if signal == otlp.Metrics {
		c.Timeout = min(c.Timeout, s.ExportTimeout)
	}
	return c, true
}

// EndpointURL returns the URL of a signal, or "" if it has none. An endpoint given as host:port gets
// http or https by otlp-insecure. Over HTTP, an endpoint for all signals gets the signal's path, by
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp.
func (s *Settings) EndpointURL(signal otlp.Signal) string {
	u := s.upstream(signal)
	to := u.Endpoint
	if to == (url.URL{}) {
		return ""
	}
	if to.Scheme == "" {
		to.Scheme = "https"
		if u.Insecure {
			to.Scheme = "http"
		}
	}
	if u.Protocol == export.HTTPProtobuf && !s.OTLPSignals[signal].given["endpoint"] {
		return to.JoinPath("v1", signal.String()).String()
	}
	return to.String()
}
