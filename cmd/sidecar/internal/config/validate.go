package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// validate fills in the defaults that depend on other settings, and rejects conflicting settings.
func (s *Settings) validate() error {
	if slices.Contains(s.Exporters, "otlp") && s.EndpointURL(otlp.Metrics) == "" {
		s.otlp.endpoint = standardEndpoint(s.upstream(otlp.Metrics).protocol)
	}
	if s.QueueSize == 0 {
		s.QueueSize = 16 << 20
		if s.QueueDir == "" {
			s.QueueSize = 8 << 20
		}
	}
	if err := s.checkListeners(); err != nil {
		return err
	}
	for _, signal := range otlp.Signals() {
		if err := s.tolerate(s.checkUpstream(signal)); err != nil {
			return err
		}
		s.breakLoop(signal)
	}
	if slices.Contains(s.Exporters, "console") && s.Temporality != "cumulative" {
		given := s.Temporality
		s.Temporality = "cumulative"
		return s.tolerate(fmt.Errorf(
			"--temporality: expected cumulative with --exporter console, since the summary needs totals, got %s",
			given,
		))
	}
	if s.KeepRunning && s.EndpointURL(otlp.Metrics) == "" && slices.Equal(s.Exporters, []string{"auto"}) {
		return s.tolerate(errors.New("--otlp-endpoint: expected an endpoint, got none; nothing will be sent"))
	}
	return nil
}

// breakLoop stops signal from being sent if its endpoint is this sidecar. checkUpstream rejects
// such an endpoint, but with KeepRunning the sidecar runs anyway.
func (s *Settings) breakLoop(signal otlp.Signal) {
	if s.KeepRunning && s.Sends(signal) && s.checkLoop(s.upstream(signal), "") != nil {
		if s.loops == nil {
			s.loops = map[otlp.Signal]bool{}
		}
		s.loops[signal] = true
	}
}

// checkListeners rejects incomplete or invalid TLS settings of the relay's listeners.
func (s *Settings) checkListeners() error {
	switch {
	case (s.RelayCertificate == "") != (s.RelayKey == ""):
		return errors.New("--relay-certificate and --relay-key: expected both or neither")
	case s.relayClientCA != "" && s.RelayCertificate == "":
		return errors.New("--relay-client-ca: requires --relay-certificate and --relay-key")
	}
	_, err := s.RelayTLS()
	return err
}

// standardEndpoint returns the endpoint that the specification defines as the default for protocol.
func standardEndpoint(protocol string) url.URL {
	if protocol == export.HTTPProtobuf {
		return url.URL{Scheme: "http", Host: "localhost:4318"}
	}
	return url.URL{Scheme: "http", Host: "localhost:4317"}
}

// checkUpstream checks the upstream settings for signal. It rejects incomplete or invalid TLS
// settings, an endpoint that does not match the protocol, and an endpoint that is this sidecar.
func (s *Settings) checkUpstream(signal otlp.Signal) error {
	u := s.upstream(signal)
	if (u.clientCert == "") != (u.clientKey == "") {
		return fmt.Errorf("%s and %s: expected both or neither",
			s.flagOf(signal, "client-certificate"), s.flagOf(signal, "client-key"))
	}
	if _, err := s.TLS(signal); err != nil {
		return err
	}
	if !s.Sends(signal) {
		return nil
	}
	flag := s.flagOf(signal, "endpoint")
	if u.endpoint.Scheme == "unix" && u.protocol == export.HTTPProtobuf {
		return fmt.Errorf(
			"%s: expected http or https with the protocol %s, got %s",
			flag,
			u.protocol,
			u.endpoint.String(),
		)
	}
	for port, protocol := range map[string]string{"4317": export.GRPC, "4318": export.HTTPProtobuf} {
		if u.endpoint.Port() == port && u.protocol != protocol {
			return fmt.Errorf("%s: port %s is the default port of %s: expected %s %s, or another port",
				flag, port, protocol, s.flagOf(signal, "protocol"), protocol)
		}
	}
	return s.checkLoop(u, flag)
}
