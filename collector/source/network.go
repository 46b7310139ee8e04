package source

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Network is a source of metrics about the network interfaces in the sidecar's network namespace.
// These are the pod's interfaces, which all containers of the pod share, or the host's.
type Network struct {
	reader     *interfaceReader
	start      *collector.StartTime
	interfaces map[string]*interfaceAttributes
}

// maxInterfaces is the maximum number of interfaces that are reported. It bounds the number of
// series: a node has one interface per pod.
const maxInterfaces = 20

// interfaceAttributes holds the attributes of the points about one interface, by direction.
type interfaceAttributes struct{ in, out *collector.Attributes }

// NewNetwork returns a source of metrics about the network interfaces.
func NewNetwork() *Network {
	return &Network{
		reader:     newInterfaceReader(),
		start:      &collector.StartTime{},
		interfaces: map[string]*interfaceAttributes{},
	}
}

// traffic holds the counters of an interface in one direction.
type traffic struct{ bytes, packets, errors, dropped int64 }

// interfaceStats holds the counters of one interface.
type interfaceStats struct {
	name    []byte
	in, out traffic
}

// Collect implements [collector.Source].
func (n *Network) Collect(ctx context.Context, s *collector.Sample) {
	if n.start.At.IsZero() {
		n.start.At = booted(ctx) // it is unknown when an interface was created
	}
	s.Try(func() error { return n.collect(ctx, s) })
}

func (n *Network) collect(ctx context.Context, s *collector.Sample) error {
	all, err := n.reader.read(ctx)
	if err != nil {
		return fmt.Errorf("network interfaces: %w", err)
	}
	for i := range all {
		one := &all[i]
		if one.in.packets == 0 && one.out.packets == 0 {
			continue // the kernel also creates interfaces that are never used
		}
		a := n.attributes(one.name)
		if a == nil {
			continue
		}
		for _, direction := range [...]struct {
			traffic traffic
			a       *collector.Attributes
		}{{one.in, a.in}, {one.out, a.out}} {
			s.Int(catalog.SystemNetworkIO, direction.traffic.bytes, direction.a)
			s.Int(catalog.SystemNetworkErrors, direction.traffic.errors, direction.a)
			s.Int(catalog.SystemNetworkDropped, direction.traffic.dropped, direction.a)
		}
	}
	return nil
}

// attributes returns the attributes of the interface called interfaceName, or nil if it is not
// reported. The loopback interface, the host's ends of the links to pods, and interfaces beyond
// maxInterfaces are not reported.
func (n *Network) attributes(interfaceName []byte) *interfaceAttributes {
	if a := n.interfaces[string(interfaceName)]; a != nil {
		return a
	}
	name := string(interfaceName)
	for _, prefix := range []string{"lo", "veth", "cali", "lxc", "cilium_", "gke", "eni", "azv"} {
		if strings.HasPrefix(name, prefix) && (prefix != "lo" || name == "lo") {
			return nil
		}
	}
	if len(n.interfaces) >= maxInterfaces {
		return nil
	}
	base := []attribute.KeyValue{semconv.NetworkInterfaceName(name)}
	a := &interfaceAttributes{
		in:  attributes(n.start, base, semconv.NetworkIODirectionReceive),
		out: attributes(n.start, base, semconv.NetworkIODirectionTransmit),
	}
	n.interfaces[name] = a
	return a
}
