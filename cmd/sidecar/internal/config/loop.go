package config

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// checkLoop rejects an upstream that is this sidecar, which would receive every item that it sends,
// in an endless loop.
func (s *Settings) checkLoop(u upstreamSettings, flag string) error {
	if u.endpoint.Scheme == "unix" && u.endpoint.Path == s.RelaySocket {
		return fmt.Errorf("%s: expected another sidecar or a Collector, got %s, which is this sidecar's --relay-socket",
			flag, u.endpoint.String())
	}
	for _, listener := range []struct{ flag, address string }{
		{"--relay-grpc-address", s.RelayGRPCAddress},
		{"--relay-http-address", s.RelayHTTPAddress},
		{"--health-address", s.HealthAddress},
		{"--page-address", s.PageAddress},
	} {
		host, own, _ := net.SplitHostPort(listener.address)
		if own == u.endpoint.Port() && own != "" && own != "0" && reaches(u.endpoint.Hostname(), host) {
			return fmt.Errorf(
				"%s: %s is the address of this sidecar's own listener (%s): expected a different one",
				flag,
				u.endpoint.Host,
				listener.flag,
			)
		}
	}
	return nil
}

// lookupTimeout bounds the lookup of an endpoint's host name. The name is looked up only if the
// endpoint has a port on which this sidecar listens.
const lookupTimeout = 500 * time.Millisecond

// reaches reports whether a connection to host may reach a listener at the address own on this
// machine. If own is not a loopback address, the listener is assumed to listen on every interface.
func reaches(host, own string) bool {
	addresses := []string{host}
	loopbackOnly := isLocalhost(own) || isIP(own, netip.Addr.IsLoopback)
	if _, err := netip.ParseAddr(host); err != nil && !isLocalhost(host) {
		ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
		defer cancel()
		addresses, _ = net.DefaultResolver.LookupHost(ctx, host) // the exporter reports an unknown name
		if name, err := os.Hostname(); err == nil && name == host && !loopbackOnly {
			return true
		}
	}
	return slices.ContainsFunc(addresses, func(a string) bool {
		return isLocalhost(a) || isIP(a, netip.Addr.IsLoopback) || isIP(a, netip.Addr.IsUnspecified) ||
			!loopbackOnly && isIP(a, isInterface)
	})
}

func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func isIP(host string, is func(netip.Addr) bool) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && is(ip)
}

// isInterface reports whether ip is the address of an interface of this machine.
func isInterface(ip netip.Addr) bool {
	own, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == ip.Unmap()
	})
}
