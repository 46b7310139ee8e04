package config

import (
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

func TestRelayDefaults(t *testing.T) {
	s := mustParse(t, nil, nil)
	if s.RelayGRPCAddress != "127.0.0.1:4317" || s.RelayHTTPAddress != "127.0.0.1:4318" || s.RelaySocket != "" ||
		s.RelayRate != 0 ||
		s.QueueDir != "" ||
		s.QueueSize != 8<<20 ||
		s.QueueSync != time.Second {
		t.Errorf("got defaults %+v", s)
	}
}

func TestQueueInMemoryIsSmallerByDefault(t *testing.T) {
	for args, want := range map[string]int64{
		"": 8 << 20, "--queue-size=16MiB": 16 << 20, "--queue-dir=" + t.TempDir(): 16 << 20, "--queue-size=8MiB --queue-dir=" + t.TempDir(): 8 << 20,
	} {
		if got := mustParse(t, strings.Fields(args), nil).QueueSize; got != want {
			t.Errorf("%q: the queue has %d bytes, want %d", args, got, want)
		}
	}
}

// If the upstream were the sidecar itself, every item would be sent in an endless loop.
func TestUpstreamMustNotBeTheSidecarItself(t *testing.T) {
	for args, rejected := range map[string]bool{
		"--exporter otlp":                       true, // the specification's default endpoint
		"--otlp-endpoint http://localhost:4317": true,
		"--otlp-endpoint http://127.0.0.2:4318 --otlp-protocol http/protobuf":                  true,
		"--otlp-endpoint http://[::1]:4319":                                                    true,
		"--otlp-endpoint localhost:4317":                                                       true,
		"--otlp-endpoint unix:///run/a.sock --relay-socket /run/a.sock":                        true,
		"--otlp-endpoint http://localhost:4317 --relay-grpc-address off":                       false,
		"--otlp-endpoint http://localhost:4317 --relay-grpc-address 127.0.0.1:14317":           false,
		"--otlp-endpoint http://collector:4317":                                                false,
		"--otlp-endpoint unix:///run/b.sock --relay-socket /run/a.sock":                        false,
		"--otlp-endpoint http://localhost:4317 --exporter console":                             true, // traces and logs
		"--otlp-endpoint http://localhost:5317 --relay-grpc-address localhost:0":               false,
		"--otlp-endpoint http://localhost:5317 --relay-http-address 0.0.0.0:5317":              true,
		"--otlp-metrics-endpoint http://localhost:5317 --exporter none --health-address :5317": false,
		"--otlp-endpoint http://localhost:5317 --exporter auto --relay-http-address off":       false,
	} {
		_, err := parse(strings.Fields(args), nil)
		if (err != nil) != rejected ||
			err != nil && (!strings.HasPrefix(err.Error(), "--otlp-endpoint: ") ||
				!strings.Contains(err.Error(), "this sidecar's")) {
			t.Errorf("%s: got error %v, want rejected: %v", args, err, rejected)
		}
	}
}

func TestExporters(t *testing.T) {
	for given, want := range map[string]struct{ otlp, console bool }{
		"auto":          {true, false},
		"otlp":          {true, false},
		"console":       {false, true},
		"otlp, Console": {true, true},
		"none":          {false, false},
	} {
		s := mustParse(t, []string{"--exporter", given, "--otlp-endpoint", "http://h:4317"}, nil)
		if s.Sends(otlp.Metrics) != want.otlp || s.ShowsSummary() != want.console {
			t.Errorf("%s: otlp %v, console %v; want %+v", given, s.Sends(otlp.Metrics), s.ShowsSummary(), want)
		}
	}
	for _, given := range []string{"otlp,none", "auto,console", "prometheus", "otlp,", ""} {
		if _, err := parse([]string{"--exporter", given}, nil); err == nil {
			t.Errorf("--exporter %q was accepted", given)
		}
	}
}

func TestSizeUnits(t *testing.T) {
	for given, want := range map[string]int64{
		"1048576": 1 << 20, "1048576B": 1 << 20, "2048KiB": 2 << 20, "3Mi": 3 << 20, "3MiB": 3 << 20, "64GiB": 64 << 30,
	} {
		if s, err := parse([]string{"--queue-size", given}, nil); err != nil || s.QueueSize != want {
			t.Errorf("%s: error %v, or the size is not %d", given, err, want)
		}
	}
	for _, given := range []string{"", "16", "16MB", "MiB", "-1MiB", "1.5GiB", "65GiB", "9223372036854775807GiB", "16 MiB", "1KB", "16MiBB"} {
		_, err := parse([]string{"--queue-size", given}, nil)
		if err == nil || !strings.Contains(err.Error(), "expected a size such as 16MiB, from 1MiB to 64GiB, got") {
			t.Errorf("%q: got error %v, want one that states the bounds", given, err)
		}
	}
}
