package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// upstream returns the settings of a signal: its own, and for the rest those of all signals.
func (s *Settings) upstream(signal otlp.Signal) SignalUpstream {
	u, own := s.OTLP, s.OTLPSignals[signal]
	for name, take := range map[string]func(){
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
			take()
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

// flagOf returns the flag that a setting of the signal comes from.
func (s *Settings) flagOf(signal otlp.Signal, name string) string {
	if s.OTLPSignals[signal].given[name] {
		return "--otlp-" + signal.String() + "-" + name
	}
	return "--otlp-" + name
}

// Sends reports whether a signal goes to an upstream.
func (s *Settings) Sends(signal otlp.Signal) bool {
	if s.EndpointURL(signal) == "" || s.nowhere[signal] {
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

// SendsOTLP reports whether any signal goes to an upstream. Without one that is set, a sidecar that
// is to show a summary only relays nothing.
func (s *Settings) SendsOTLP() bool {
	for _, signal := range otlp.Signals() {
		if s.Sends(signal) {
			return true
		}
	}
	return false
}

// ShowsSummary reports whether a summary goes to the terminal: not by itself where there is none,
// but a log.
func (s *Settings) ShowsSummary() bool {
	return s.exports("console", s.EndpointURL(otlp.Metrics) == "" && !s.KeepRunning)
}

// Upstream returns where a signal goes and how; ok is false if it goes nowhere. Timeout is that of
// a request.
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

// EndpointURL returns where a signal would go, empty if nowhere. What was given as host:port gets
// http or https by the setting otlp-insecure, and what all signals share gets the signal's path for
// HTTP, by the rules of the specification
// (https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp).
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

// TLS reads the certificates of a signal and returns what they make, or nil if none was given,
// where the system's authorities hold. Files that are replaced together are best replaced at once,
// as Kubernetes does it; what does not fit together is an error.
func (s *Settings) TLS(signal otlp.Signal) (*tls.Config, error) {
	u := s.upstream(signal)
	if u.Certificate == "" && u.ClientCert == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if u.Certificate != "" {
		if config.RootCAs, err = authorities(s.flagOf(signal, "certificate"), u.Certificate); err != nil {
			return nil, err
		}
	}
	if u.ClientCert != "" {
		if config.Certificates, err = pair(
			s.flagOf(signal, "client-key"),
			"client certificate",
			u.ClientCert,
			u.ClientKey,
		); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// RelayTLS reads the certificates of the listeners and returns what they make, or nil if none was
// given.
func (s *Settings) RelayTLS() (*tls.Config, error) {
	if s.RelayCertificate == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if config.Certificates, err = pair("--relay-key", "certificate", s.RelayCertificate, s.RelayKey); err != nil {
		return nil, err
	}
	if s.RelayClientCA != "" {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		if config.ClientCAs, err = authorities("--relay-client-ca", s.RelayClientCA); err != nil {
			return nil, err
		}
	}
	return config, nil
}

func authorities(flag, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: expected a file of PEM certificates, found none in %q", flag, file)
	}
	return pool, nil
}

func pair(flag, what, certificate, key string) ([]tls.Certificate, error) {
	one, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf(
			"%s: expected the key of the %s: %s",
			flag,
			what,
			strings.TrimPrefix(err.Error(), "tls: "),
		)
	}
	return []tls.Certificate{one}, nil
}

// headersOf returns a function that returns the headers of a request: those given, and those of the
// file, which is read again when it changes.
func headersOf(given map[string]string, file string) func() (map[string]string, error) {
	if file == "" {
		return func() (map[string]string, error) { return given, nil }
	}
	return (&tokens{given: given, file: file}).headers
}

// rereadAfter is how old the contents of a file of headers may be.
const rereadAfter = time.Second
