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
)

// validate checks what no single setting can know of itself.
func (s *Settings) validate() error {
	if (s.OTLPClientCert == "") != (s.OTLPClientKey == "") {
		return errors.New("--otlp-client-certificate and --otlp-client-key: expected both or neither")
	}
	if slices.Contains(s.Exporters, "otlp") && !s.hasEndpoint() {
		// The specification's default endpoint.
		s.OTLPEndpoint.Scheme, s.OTLPEndpoint.Host = "http", "localhost:4317"
		if s.SendsHTTP() {
			s.OTLPEndpoint.Host = "localhost:4318"
		}
	}
	if s.SendsHTTP() && s.OTLPEndpoint.Scheme == "unix" {
		return fmt.Errorf("--otlp-endpoint: expected http or https for http/protobuf, got %s", s.EndpointURL())
	}
	if err := s.checkLoop(); err != nil {
		return err
	}
	_, err := s.TLS()
	return err
}

// checkLoop refuses an upstream that is the sidecar itself.
func (s *Settings) checkLoop() error {
	if !s.SendsOTLP() {
		return nil
	}
	if s.OTLPEndpoint.Scheme == "unix" && s.OTLPEndpoint.Path == s.RelaySocket {
		return fmt.Errorf("--otlp-endpoint: expected another sidecar or a Collector, got %s, which is this one's --relay-socket", s.EndpointURL())
	}
	host, port := s.OTLPEndpoint.Hostname(), s.OTLPEndpoint.Port()
	for _, listener := range []struct{ flag, address string }{
		{"--relay-grpc-address", s.RelayGRPCAddress}, {"--relay-http-address", s.RelayHTTPAddress}, {"--health-address", s.HealthAddress},
	} {
		if _, own, _ := net.SplitHostPort(listener.address); own == port && port != "0" && isThisHost(host) {
			return fmt.Errorf("--otlp-endpoint: expected another address than %s, where this sidecar itself listens; move that with %s, such as off",
				s.OTLPEndpoint.Host, listener.flag)
		}
	}
	return nil
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

// SendsHTTP reports whether the upstream gets http/protobuf, not gRPC.
func (s *Settings) SendsHTTP() bool { return s.OTLPProtocol == protocolHTTP }

// TLS returns the client's TLS configuration, from the files as they are now.
func (s *Settings) TLS() (*tls.Config, error) {
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
