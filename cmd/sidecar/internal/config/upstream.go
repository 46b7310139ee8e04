package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// validate checks what no single setting can know of itself.
func (s *Settings) validate() error {
	if (s.OTLPClientCert == "") != (s.OTLPClientKey == "") {
		return errors.New("--otlp-client-certificate and --otlp-client-key: expected both or neither")
	}
	if s.Exporter == "otlp" && !s.hasEndpoint() {
		// The specification's default endpoint.
		s.OTLPEndpoint.Scheme, s.OTLPEndpoint.Host = "http", "localhost:4317"
	}
	_, err := s.loadTLS()
	return err
}

// SendsOTLP reports whether points go to an upstream.
func (s *Settings) SendsOTLP() bool {
	return s.Exporter == "otlp" || s.Exporter == "auto" && s.hasEndpoint()
}

// ShowsSummary reports whether a summary goes to the terminal.
func (s *Settings) ShowsSummary() bool {
	return s.Exporter == "console" || s.Exporter == "auto" && !s.hasEndpoint()
}

// EndpointURL returns the endpoint with a scheme: one given as host:port gets http or https by the setting otlp-insecure.
func (s *Settings) EndpointURL() string {
	u := s.OTLPEndpoint
	if u.Scheme == "" {
		u.Scheme = "https"
		if s.OTLPInsecure {
			u.Scheme = "http"
		}
	}
	return u.String()
}

// TLS returns the client's TLS configuration, or nil if no certificate was given, where the system's authorities hold, and for
// an endpoint without TLS.
func (s *Settings) TLS() (*tls.Config, error) {
	if !strings.HasPrefix(s.EndpointURL(), "https:") || s.OTLPCertificate == "" && s.OTLPClientCert == "" {
		return nil, nil
	}
	return s.loadTLS()
}

func (s *Settings) loadTLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.OTLPCertificate != "" {
		pem, err := os.ReadFile(s.OTLPCertificate)
		if err != nil {
			return nil, fmt.Errorf("--otlp-certificate: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(pem)
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

func (s *Settings) hasEndpoint() bool { return s.OTLPEndpoint != url.URL{} }
