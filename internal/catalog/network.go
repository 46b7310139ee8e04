package catalog

import semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

// Network holds the metrics of the network interfaces that the sidecar sees.
var Network = &Group{
	Name: "network",
	Help: "The interfaces in the sidecar's network namespace: its pod's, which the pod's containers share, or the host's with " +
		"the host's network. The loopback interface, the host's ends of pod links and interfaces without any packets are omitted, and so are all after the first 20. Counts begin when the interface is created; their start time is the boot, since the creation time is unknown.",
	Attributes: []Attribute{
		{Key: semconv.NetworkInterfaceNameKey},
		{Key: semconv.NetworkIODirectionKey, Values: []string{"receive", "transmit"}},
	},
	Metrics: []*Metric{SystemNetworkIO, SystemNetworkErrors, SystemNetworkDropped},
}

// The metrics in [Network].
var (
	SystemNetworkIO = &Metric{
		Name: "system.network.io", Kind: Counter, Number: Int, Unit: "By", Standard: true,
		Help: "Bytes received and sent.", Absent: "no interface in use but the loopback, or macOS",
	}
	SystemNetworkErrors = &Metric{
		Name: "system.network.errors", Kind: Counter, Number: Int, Unit: "{error}", Standard: true,
		Help: "Errors when receiving and sending.", Absent: "no interface in use but the loopback, or macOS",
	}
	SystemNetworkDropped = &Metric{
		Name:     "system.network.packet.dropped",
		Kind:     Counter,
		Number:   Int,
		Unit:     "{packet}",
		Standard: true,
		Help:     "Packets dropped although they were not faulty.",
		Absent:   "no interface in use but the loopback, or macOS",
	}
)
