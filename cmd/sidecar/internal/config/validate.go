package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// validate checks what no single setting can know of itself.
func (s *Settings) validate() error {
	if slices.Contains(s.Exporters, "otlp") && s.EndpointURL(otlp.Metrics) == "" {
		s.OTLP.Endpoint = standardEndpoint(s.upstream(otlp.Metrics).Protocol)
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
		if err := s.bear(s.checkUpstream(signal)); err != nil {
			return err
		}
		s.avoidCircle(signal)
	}
	if slices.Contains(s.Exporters, "console") && s.Temporality != "cumulative" {
		err := fmt.Errorf(
			"--temporality: expected cumulative with --exporter console, whose summary reckons with totals, got %s",
			s.Temporality,
		)
		s.Temporality = "cumulative"
		return s.bear(err)
	}
	if s.KeepRunning && s.EndpointURL(otlp.Metrics) == "" && slices.Equal(s.Exporters, []string{"auto"}) {
		s.Problems = append(
			s.Problems,
			errors.New("--otlp-endpoint: expected where to send, got nothing: points go nowhere"),
		)
	}
	return nil
}

// avoidCircle has a signal go nowhere rather than to the sidecar itself, if that is borne.
func (s *Settings) avoidCircle(signal otlp.Signal) {
	if s.KeepRunning && s.Sends(signal) && s.checkCircle(s.upstream(signal), "") != nil {
		if s.nowhere == nil {
			s.nowhere = map[otlp.Signal]bool{}
		}
		s.nowhere[signal] = true
	}
}

// checkListeners refuses certificates that do not fit together.
func (s *Settings) checkListeners() error {
	switch {
	case (s.RelayCertificate == "") != (s.RelayKey == ""):
		return errors.New("--relay-certificate and --relay-key: expected both or neither")
	case s.RelayClientCA != "" && s.RelayCertificate == "":
		return errors.New("--relay-client-ca: expected --relay-certificate and --relay-key with it")
	}
	_, err := s.RelayTLS()
	return err
}

// standardEndpoint is the specification's default.
func standardEndpoint(protocol string) url.URL {
	if protocol == export.HTTPProtobuf {
		return url.URL{Scheme: "http", Host: "localhost:4318"}
	}
	return url.URL{Scheme: "http", Host: "localhost:4317"}
}

// checkUpstream refuses certificates that do not fit together, an upstream that is the sidecar
// itself, and one that the protocol does not reach.
func (s *Settings) checkUpstream(signal otlp.Signal) error {
	u := s.upstream(signal)
	if (u.ClientCert == "") != (u.ClientKey == "") {
		return fmt.Errorf(
			"%s and %s: expected both or neither",
			s.flagOf(signal, "client-certificate"),
			s.flagOf(signal, "client-key"),
		)
	}
	if _, err := s.TLS(signal); err != nil {
		return err
	}
	if !s.Sends(signal) {
		return nil
	}
	flag := s.flagOf(signal, "endpoint")
	if u.Endpoint.Scheme == "unix" && u.Protocol == export.HTTPProtobuf {
		return fmt.Errorf(
			"%s: expected http or https with the protocol %s, got %s",
			flag,
			u.Protocol,
			u.Endpoint.String(),
		)
	}
	for port, protocol := range map[string]string{"4317": export.GRPC, "4318": export.HTTPProtobuf} {
		if u.Endpoint.Port() == port && u.Protocol != protocol {
			return fmt.Errorf(
				"%s: port %s is the one of %s: expected %s %s, or another port",
				flag,
				port,
				protocol,
				s.flagOf(signal, "protocol"),
				protocol,
			)
		}
	}
	return s.checkCircle(u, flag)
}

// checkCircle refuses an upstream that is the sidecar itself.
func (s *Settings) checkCircle(u SignalUpstream, flag string) error {
	if u.Endpoint.Scheme == "unix" && u.Endpoint.Path == s.RelaySocket {
		return fmt.Errorf(
			"%s: expected another sidecar or a Collector, got %s, which is this one's --relay-socket",
			flag,
			u.Endpoint.String(),
		)
	}
	for _, listener := range []struct{ flag, address string }{
		{"--relay-grpc-address", s.RelayGRPCAddress},
		{"--relay-http-address", s.RelayHTTPAddress},
		{"--health-address", s.HealthAddress},
		{"--page-address", s.PageAddress},
	} {
		host, own, _ := net.SplitHostPort(listener.address)
		if own == u.Endpoint.Port() && own != "" && own != "0" && reaches(u.Endpoint.Hostname(), host) {
			return fmt.Errorf(
				"%s: expected another address than %s, where this sidecar itself listens; move that with %s, such as off",
				flag,
				u.Endpoint.Host,
				listener.flag,
			)
		}
	}
	return nil
}

// lookupTime is how long a name may take that may be another one of this host. It is only looked up
// when the port is one of ours.
const lookupTime = 500 * time.Millisecond

// reaches reports whether a connection to host may end at a listener of this host on the address
// own.
func reaches(host, own string) bool {
	addresses := []string{host}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" && !strings.HasSuffix(host, ".localhost") {
		ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
		defer cancel()
		// an unknown name is for the exporter to report
		addresses, _ = net.DefaultResolver.LookupHost(ctx, host)
		if name, err := os.Hostname(); err == nil && name == host && !isLoopback(own) {
			return true
		}
	}
	return slices.ContainsFunc(addresses, func(a string) bool {
		return isLoopback(a) || !isLoopback(own) && isInterface(a)
	})
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") ||
		err == nil && (ip.IsLoopback() || ip.IsUnspecified() && host != "")
}

// isInterface reports whether the address is one of this host's.
func isInterface(address string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	own, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == ip.Unmap()
	})
}

func (s *Settings) exports(name string, automatic bool) bool {
	return slices.Contains(s.Exporters, name) || automatic && slices.Contains(s.Exporters, "auto")
}
