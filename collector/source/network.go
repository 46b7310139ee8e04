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

// Network reports the interfaces of the network namespace that the sidecar is in: those of its pod,
// which all of the pod's containers share, or those of the host.
type Network struct {
	reader     *interfaceReader
	birth      *collector.Birth
	interfaces map[string]*interfaceAttributes
}

// maxInterfaces bounds the series: a node has an interface for every pod.
const maxInterfaces = 20

// interfaceAttributes are those of the points of one interface, by direction.
type interfaceAttributes struct{ in, out *collector.Attributes }

// NewNetwork returns the source of the network interfaces.
func NewNetwork() *Network {
	return &Network{reader: newInterfaceReader(), birth: &collector.Birth{}, interfaces: map[string]*interfaceAttributes{}}
}

// traffic is what an interface counted in one direction.
type traffic struct{ bytes, packets, errors, dropped int64 }

// interfaceCounters are those of one interface.
type interfaceCounters struct {
	name    []byte
	in, out traffic
}

// Collect implements [collector.Source].
func (n *Network) Collect(ctx context.Context, s *collector.Sample) {
	if n.birth.At.IsZero() {
		n.birth.At = booted(ctx) // an interface is younger; by how much nothing tells
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
			continue // the kernel makes some that nobody uses
		}
		a := n.attributes(one.name)
		if a == nil {
			continue
		}
		for _, way := range [...]struct {
			traffic traffic
			a       *collector.Attributes
		}{{one.in, a.in}, {one.out, a.out}} {
			s.Int(catalog.SystemNetworkIO, way.traffic.bytes, way.a)
			s.Int(catalog.SystemNetworkErrors, way.traffic.errors, way.a)
			s.Int(catalog.SystemNetworkDropped, way.traffic.dropped, way.a)
		}
	}
	return nil
}

// attributes returns those of an interface, nil for one that is not reported: the loopback, the
// host's ends of the links of pods, and what is beyond the bound.
func (n *Network) attributes(called []byte) *interfaceAttributes {
	if a := n.interfaces[string(called)]; a != nil {
		return a
	}
	name := string(called)
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
		in:  with(n.birth, base, semconv.NetworkIODirectionReceive),
		out: with(n.birth, base, semconv.NetworkIODirectionTransmit),
	}
	n.interfaces[name] = a
	return a
}
