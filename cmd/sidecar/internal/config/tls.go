package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/internal/certfile"
)

// TLS reads the certificates for requests of signal. It returns nil if none are configured; the
// system's CAs are then trusted. It returns an error if the certificate and the key do not match,
// so both files must be replaced atomically, as Kubernetes does.
func (s *Settings) TLS(signal otlp.Signal) (*tls.Config, error) {
	u := s.upstream(signal)
	if u.certificate == "" && u.clientCert == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if u.certificate != "" {
		if config.RootCAs, err = loadCAs(s.flagOf(signal, "certificate"), u.certificate); err != nil {
			return nil, err
		}
	}
	if u.clientCert != "" {
		flag := s.flagOf(signal, "client-key")
		if config.Certificates, err = loadKeyPair(flag, "client certificate", u.clientCert, u.clientKey); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// RelayTLS reads the certificates of the relay's listeners. It returns nil if none are configured.
func (s *Settings) RelayTLS() (*tls.Config, error) {
	if s.RelayCertificate == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	config.Certificates, err = loadKeyPair("--relay-key", "certificate", s.RelayCertificate, s.RelayKey)
	if err != nil {
		return nil, err
	}
	if s.relayClientCA != "" {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		if config.ClientCAs, err = loadCAs("--relay-client-ca", s.relayClientCA); err != nil {
			return nil, err
		}
	}
	return config, nil
}

func loadCAs(flag, file string) (*x509.CertPool, error) {
	cas, err := certfile.Pool(file)
	return cas, wrap(flag, err)
}

func loadKeyPair(flag, what, certificate, key string) ([]tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		reason := strings.TrimPrefix(err.Error(), "tls: ")
		return nil, fmt.Errorf("%s: cannot load the %s and its private key: %s", flag, what, reason)
	}
	return []tls.Certificate{pair}, nil
}
