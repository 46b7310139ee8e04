package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// validate checks what no single setting can know of itself.
func (s *Settings) validate() error {
	if (s.OTLPClientCert == "") != (s.OTLPClientKey == "") {
		return errors.New("--otlp-client-certificate and --otlp-client-key: expected both or neither")
	}
	if slices.Contains(s.Exporters, "otlp") && !s.hasEndpoint() {
		s.OTLPEndpoint = standardEndpoint(s.OTLPProtocol)
	}
	for _, u := range s.endpoints() {
		if err := s.checkEndpoint(u); err != nil {
			return err
		}
	}
	_, err := s.TLS()
	return err
}

// standardEndpoint is the specification's default.
func standardEndpoint(protocol string) url.URL {
	if protocol == export.HTTPProtobuf {
		return url.URL{Scheme: "http", Host: "localhost:4318"}
	}
	return url.URL{Scheme: "http", Host: "localhost:4317"}
}

// checkEndpoint refuses an upstream that is the sidecar itself, and one that the protocol does not reach.
func (s *Settings) checkEndpoint(u given) error {
	if !s.SendsOTLP() {
		return nil
	}
	if u.Scheme == "unix" && s.OTLPProtocol == export.HTTPProtobuf {
		return fmt.Errorf("--%s: expected http or https with the protocol %s, got %s", u.flag, s.OTLPProtocol, u.String())
	}
	if u.Scheme == "unix" && u.Path == s.RelaySocket {
		return fmt.Errorf("--%s: expected another sidecar or a Collector, got %s, which is this one's --relay-socket", u.flag, u.String())
	}
	for _, listener := range []struct{ flag, address string }{
		{"--relay-grpc-address", s.RelayGRPCAddress}, {"--relay-http-address", s.RelayHTTPAddress}, {"--health-address", s.HealthAddress},
	} {
		if _, own, _ := net.SplitHostPort(listener.address); own == u.Port() && own != "" && own != "0" && isThisHost(u.Hostname()) {
			return fmt.Errorf("--%s: expected another address than %s, where this sidecar itself listens; move that with %s, such as off",
				u.flag, u.Host, listener.flag)
		}
	}
	return nil
}

// given is an endpoint that was set.
type given struct {
	url.URL

	flag string
}

func (s *Settings) endpoints() []given {
	all := []given{{s.OTLPEndpoint, "otlp-endpoint"}}
	for _, signal := range otlp.Signals() {
		all = append(all, given{s.OTLPSignals[signal].Endpoint, "otlp-" + signal.String() + "-endpoint"})
	}
	return slices.DeleteFunc(all, func(g given) bool { return g.URL == url.URL{} })
}

func isThisHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// SendsOTLP reports whether points go to an upstream.
func (s *Settings) SendsOTLP() bool { return s.exports("otlp", s.hasEndpoint()) }

// ShowsSummary reports whether a summary goes to the terminal.
func (s *Settings) ShowsSummary() bool { return s.exports("console", !s.hasEndpoint()) }

func (s *Settings) exports(name string, automatic bool) bool {
	return slices.Contains(s.Exporters, name) || automatic && slices.Contains(s.Exporters, "auto")
}

// Upstream returns where each signal goes and how. A signal without an endpoint goes nowhere.
func (s *Settings) Upstream(userAgent string) export.Config {
	c := export.Config{
		Protocol: s.OTLPProtocol, Endpoints: map[otlp.Signal]export.Endpoint{}, Gzip: s.OTLPCompression == "gzip", UserAgent: userAgent, TLS: s.TLS,
	}
	for _, signal := range otlp.Signals() {
		if u := s.EndpointURL(signal); u != "" {
			c.Endpoints[signal] = export.Endpoint{URL: u, Headers: s.headers(signal)}
		}
	}
	return c
}

// EndpointURL returns where a signal goes, empty if nowhere. What was given as host:port gets http or https by the setting otlp-insecure,
// and what all signals share gets the signal's path for HTTP, by the rules of the specification
// (https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp).
func (s *Settings) EndpointURL(signal otlp.Signal) string {
	u, own := s.OTLPSignals[signal].Endpoint, true
	if u == (url.URL{}) {
		u, own = s.OTLPEndpoint, false
	}
	if u == (url.URL{}) {
		return ""
	}
	if u.Scheme == "" {
		u.Scheme = "https"
		if s.OTLPInsecure {
			u.Scheme = "http"
		}
	}
	if s.OTLPProtocol == export.HTTPProtobuf && !own {
		return u.JoinPath("v1", signal.String()).String()
	}
	return u.String()
}

func (s *Settings) headers(signal otlp.Signal) map[string]string {
	if own := s.OTLPSignals[signal].Headers; own != nil {
		return own
	}
	return s.OTLPHeaders
}

// TLS reads the certificates and returns what they make, or nil if none was given, where the system's authorities hold. Files that are replaced
// together are best replaced at once, as Kubernetes does it; what does not fit together is an error.
func (s *Settings) TLS() (*tls.Config, error) {
	if s.OTLPCertificate == "" && s.OTLPClientCert == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.OTLPCertificate != "" {
		pem, err := os.ReadFile(s.OTLPCertificate)
		if err != nil {
			return nil, fmt.Errorf("--otlp-certificate: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--otlp-certificate: expected a file of PEM certificates, found none in %q", s.OTLPCertificate)
		}
	}
	if s.OTLPClientCert != "" {
		pair, err := tls.LoadX509KeyPair(s.OTLPClientCert, s.OTLPClientKey)
		if err != nil {
			return nil, fmt.Errorf("--otlp-client-key: expected the key of the client certificate: %s", strings.TrimPrefix(err.Error(), "tls: "))
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// hasEndpoint reports whether there is one for metrics, which are what the sidecar has itself.
func (s *Settings) hasEndpoint() bool { return s.EndpointURL(otlp.Metrics) != "" }
