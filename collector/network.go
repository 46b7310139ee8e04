package collector

import (
	"context"
	"fmt"
	stdnet "net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/net"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Network reports the interfaces of the network namespace that the sidecar is in, with gopsutil: those of its pod, which all of
// the pod's containers share, or those of the host.
type Network struct {
	birth      *Birth
	interfaces map[string]*interfaceAttributes
}

// maxInterfaces bounds the series: a node has an interface for every pod.
const maxInterfaces = 20

// interfaceAttributes are those of the points of one interface, by direction.
type interfaceAttributes struct{ in, out *Attributes }

// NewNetwork returns the source of the network interfaces.
func NewNetwork() *Network {
	return &Network{birth: &Birth{}, interfaces: map[string]*interfaceAttributes{}}
}

// Collect implements [Source].
func (n *Network) Collect(ctx context.Context, s *Sample) {
	if runtime.GOOS == "darwin" {
		return // gopsutil would run a program at every collection
	}
	if n.birth.at.IsZero() {
		n.birth.at = booted(ctx) // an interface is younger; by how much nothing tells
	}
	s.Try(func() error { return n.collect(ctx, s) })
}

func (n *Network) collect(ctx context.Context, s *Sample) error {
	all, err := net.IOCountersWithContext(ctx, true)
	if err != nil {
		return fmt.Errorf("network interfaces: %w", err)
	}
	for i := range all {
		one := &all[i]
		if one.PacketsRecv == 0 && one.PacketsSent == 0 {
			continue // the kernel makes some that nobody uses
		}
		a := n.attributes(one.Name)
		if a == nil {
			continue
		}
		for _, p := range []struct {
			metric  *catalog.Metric
			in, out uint64
		}{
			{catalog.SystemNetworkIO, one.BytesRecv, one.BytesSent},
			{catalog.SystemNetworkErrors, one.Errin, one.Errout},
			{catalog.SystemNetworkDropped, one.Dropin, one.Dropout},
		} {
			s.Int(p.metric, int64(p.in), a.in)   //nolint:gosec // what does not fit is negative, and refused
			s.Int(p.metric, int64(p.out), a.out) //nolint:gosec // see above
		}
	}
	return nil
}

// attributes returns those of an interface, nil for one that is not reported: the loopback, the host's ends of the links of pods, and
// what is beyond the bound.
func (n *Network) attributes(name string) *interfaceAttributes {
	if a := n.interfaces[name]; a != nil {
		return a
	}
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

// Holder says which process listens at a TCP address, such as "sidecar, process 4711"; "" if that cannot be told.
func Holder(address string) string {
	_, port, err := stdnet.SplitHostPort(address)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	all, _ := net.ConnectionsWithContext(ctx, "tcp")
	for i := range all {
		if all[i].Status != "LISTEN" || strconv.FormatUint(uint64(all[i].Laddr.Port), 10) != port {
			continue
		}
		if all[i].Pid == 0 {
			return "a process of another user"
		}
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", all[i].Pid)) // Linux only
		return strings.TrimPrefix(fmt.Sprintf("%s, process %d", strings.TrimSpace(string(name)), all[i].Pid), ", ")
	}
	return ""
}
