// Package config holds the sidecar's settings and finds their values: on the command line, in the environment, in an optional
// YAML file, in that order of precedence.
//
// A setting has one name with three spellings: the flag --probe-dir, the variable POOLGAUGE_PROBE_DIR and the key probe-dir of the
// file. Where OpenTelemetry has a standard variable, that variable takes the place of ours and means what it means elsewhere.
// An empty variable counts as unset, as OpenTelemetry's specification has it.
//
// Every error is one line that names the setting as the user wrote it, what was expected and, unless it may be a secret, the
// value; a misspelt name comes with the nearest known one.
package config

import (
	"net/url"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/probe"
)

// Settings are all settings of the sidecar. Those that come from [Flags.Resolve] are valid.
type Settings struct {
	// What is sampled.
	Interval   time.Duration // at least 100 ms
	Host, Pod  bool
	CgroupRoot string   // empty: where it is mounted
	Process    []string // executable names

	// Probes; an interval of 0 turns a probe off.
	ProbeBudget                                           float64 // percent of one core for all probes together
	ProbeCPUInterval, ProbeParallelismInterval            time.Duration
	ProbeDiskInterval                                     time.Duration
	ProbeDir                                              string // empty: the temporary directory
	ProbeTCP, ProbeDNS, ProbeHTTP                         []string
	ProbeTCPInterval, ProbeDNSInterval, ProbeHTTPInterval time.Duration
	ProbeTimeout                                          time.Duration

	// The upstream.
	Exporters                                      []string // auto or none, or of otlp and console
	OTLPEndpoint                                   url.URL  // zero: none; without a scheme: otlp-insecure decides
	OTLPHeaders                                    map[string]string
	OTLPSignals                                    map[otlp.Signal]*SignalUpstream // what each signal has of its own
	OTLPProtocol                                   string                          // export.GRPC or export.HTTPProtobuf
	OTLPInsecure                                   bool
	OTLPCertificate, OTLPClientCert, OTLPClientKey string // files, which exist
	OTLPCompression                                string // none or gzip
	OTLPTimeout, ExportTimeout                     time.Duration
	Temporality                                    string // cumulative, delta or lowmemory
	Histogram                                      string // …_histogram, by the names of the specification
	ServiceName                                    string
	ResourceAttributes                             map[string]string
	SDKDisabled                                    bool

	// The relay. It listens only if there is an upstream.
	RelayGRPCAddress, RelayHTTPAddress string        // empty: off
	RelaySocket                        string        // a path; empty: off
	RelayRate                          int64         // points a second; 0: no limit
	QueueDir                           string        // empty: in memory
	QueueSize                          int64         // bytes
	QueueSync                          time.Duration // 0: before the client is answered

	// Life.
	HealthAddress       string // empty: off
	LogFormat, LogLevel string
}

// SignalUpstream is what a signal has of its own in place of what is for all of them.
type SignalUpstream struct {
	Endpoint url.URL           // zero: none
	Headers  map[string]string // nil: none
}

// The groups of settings in the help.
const (
	groupSampling = "Sampling"
	groupProbes   = "Probes"
	groupUpstream = "Upstream"
	groupRelay    = "Relay"
	groupLife     = "Life"
)

// define declares every setting once: its name, its default, how it is checked and what it means.
func (f *Flags) define(s *Settings) {
	f.group = groupSampling
	f.add("interval", interval(&s.Interval, 10*time.Second, 100*time.Millisecond), "how often to sample", "OTEL_METRIC_EXPORT_INTERVAL")
	f.add("host", boolean(&s.Host, true), "sample the host; turn it off where a DaemonSet does that")
	f.add("pod", boolean(&s.Pod, true), "sample the containers and processes of the pod; turn it off in a DaemonSet for the host")
	f.add("cgroup-root", text(&s.CgroupRoot, "DIR", cgroupRoot), "where the host's control groups are mounted, if not at /sys/fs/cgroup")
	f.add("process", list(&s.Process, "NAME", notNothing), "sample the processes of this executable name, wherever they are, in place of the pod's; repeatable")

	f.group = groupProbes
	f.add("probe-budget", percent(&s.ProbeBudget, 0.5), "share of one core that all probes together may use")
	f.add("probe-cpu-interval", intervalOrOff(&s.ProbeCPUInterval, 5*time.Second), "how often to run the CPU probe; 0 turns it off")
	f.add("probe-parallelism-interval", intervalOrOff(&s.ProbeParallelismInterval, time.Minute), "how often to measure the CPUs that can be had at once; 0 turns it off")
	f.add("probe-disk-interval", intervalOrOff(&s.ProbeDiskInterval, 30*time.Second), "how often to run the disk probe; 0 turns it off")
	f.add("probe-dir", text(&s.ProbeDir, "DIR", probe.CheckDir), "directory on the disk to probe; the temporary directory if not given")
	f.add("probe-tcp", list(&s.ProbeTCP, "HOST:PORT", tcpTarget), "connect to this address; repeatable")
	f.add("probe-tcp-interval", interval(&s.ProbeTCPInterval, 15*time.Second, time.Second), "how often to connect")
	f.add("probe-dns", list(&s.ProbeDNS, "NAME", dnsTarget), "look up this name; repeatable")
	f.add("probe-dns-interval", interval(&s.ProbeDNSInterval, 15*time.Second, time.Second), "how often to look up")
	f.add("probe-http", list(&s.ProbeHTTP, "URL", httpTarget), "GET this URL; repeatable")
	f.add("probe-http-interval", interval(&s.ProbeHTTPInterval, 15*time.Second, time.Second), "how often to GET")
	f.add("probe-timeout", interval(&s.ProbeTimeout, 5*time.Second, 10*time.Millisecond), "deadline of one run of a network probe")

	f.group = groupUpstream
	f.add("exporter", choices(&s.Exporters, []string{"auto", "none"}, "otlp", "console"),
		"console is a summary on the terminal, and otlp,console both; auto is otlp if an endpoint is set, else console", "OTEL_METRICS_EXPORTER")
	f.add("otlp-endpoint", endpoint(&s.OTLPEndpoint), "where to send, such as http://collector:4317; https uses TLS; http/protobuf appends /v1/metrics and so on", "OTEL_EXPORTER_OTLP_ENDPOINT")
	f.add("otlp-protocol", choice(&s.OTLPProtocol, export.GRPC, export.HTTPProtobuf), "transport", otlpVariables("PROTOCOL")...)
	f.add("otlp-headers", pairs(&s.OTLPHeaders, isHeader), "headers of every request; prefer the variable, since others can read a command line", "OTEL_EXPORTER_OTLP_HEADERS")
	f.defineSignals(s)
	f.add("otlp-insecure", boolean(&s.OTLPInsecure, false), "no TLS to an endpoint that is given without http or https", otlpVariables("INSECURE")...)
	f.add("otlp-certificate", text(&s.OTLPCertificate, "FILE", certificates), "authorities to trust in place of the system's (PEM)", otlpVariables("CERTIFICATE")...)
	f.add("otlp-client-certificate", text(&s.OTLPClientCert, "FILE", certificates), "certificate to show, for mTLS (PEM)", otlpVariables("CLIENT_CERTIFICATE")...)
	f.add("otlp-client-key", text(&s.OTLPClientKey, "FILE", readable), "its key (PEM)", otlpVariables("CLIENT_KEY")...)
	f.add("otlp-compression", choice(&s.OTLPCompression, "none", "gzip"), "compression of requests", otlpVariables("COMPRESSION")...)
	f.add("otlp-timeout", interval(&s.OTLPTimeout, 10*time.Second, time.Millisecond), "deadline of one request", otlpVariables("TIMEOUT")...)
	f.add("export-timeout", interval(&s.ExportTimeout, 30*time.Second, time.Millisecond), "deadline of one export; that of the request holds too", "OTEL_METRIC_EXPORT_TIMEOUT")
	f.add("temporality", choice(&s.Temporality, "cumulative", "delta", "lowmemory"), "temporality of sums and histograms", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
	f.add("histogram", choice(&s.Histogram, "base2_exponential_bucket_histogram", "explicit_bucket_histogram"),
		"aggregation of histograms", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION")
	f.add("service-name", text(&s.ServiceName, "NAME", nil), "service.name of the resource; else from the attributes, else poolgauge-sidecar", "OTEL_SERVICE_NAME")
	f.add("resource-attributes", pairs(&s.ResourceAttributes, isAttribute), "more attributes of the resource, such as k8s.pod.name from the downward API; those without a value are left out", "OTEL_RESOURCE_ATTRIBUTES")
	f.add("sdk-disabled", boolean(&s.SDKDisabled, false), "sample and send nothing", "OTEL_SDK_DISABLED")

	f.group = groupRelay
	f.add("relay-grpc-address", address(&s.RelayGRPCAddress, "127.0.0.1:4317"), "where the app's OTLP/gRPC is taken; off takes none")
	f.add("relay-http-address", address(&s.RelayHTTPAddress, "127.0.0.1:4318"), "where the app's OTLP/HTTP is taken; off takes none")
	f.add("relay-socket", text(&s.RelaySocket, "PATH", notNothing), "unix socket where the app's OTLP/gRPC is taken too")
	f.add("relay-rate", count(&s.RelayRate), "points a second to take from the app; clients are told to come back for more; 0 is no limit")
	f.add("queue-dir", text(&s.QueueDir, "DIR", directory), "directory that keeps what waits for the upstream; without one a killed sidecar loses it")
	f.add("queue-size", size(&s.QueueSize, 16<<20, 1<<20, 64<<30), "how much may wait for the upstream before the oldest is dropped")
	f.add("queue-sync", interval(&s.QueueSync, time.Second, 0), "how much a power failure may lose; 0 syncs to disk before the client is answered")

	f.group = groupLife
	f.add("health-address", address(&s.HealthAddress, "127.0.0.1:4319"), "where /healthz and /readyz answer; off turns them off")
	f.add("log-format", choice(&s.LogFormat, "text", "json"), "format of the log")
	f.add("log-level", choice(&s.LogLevel, "info", "debug", "warn", "error"), "least level to log")
}

// defineSignals declares what each signal may have of its own.
func (f *Flags) defineSignals(s *Settings) {
	s.OTLPSignals = map[otlp.Signal]*SignalUpstream{}
	for _, signal := range otlp.Signals() {
		own, name := &SignalUpstream{}, signal.String()
		s.OTLPSignals[signal] = own
		variable := "OTEL_EXPORTER_OTLP_" + strings.ToUpper(name)
		f.add("otlp-"+name+"-endpoint", endpoint(&own.Endpoint), "where to send "+name+" in place of otlp-endpoint; http/protobuf appends nothing to it", variable+"_ENDPOINT")
		f.add("otlp-"+name+"-headers", pairs(&own.Headers, isHeader), "headers of requests of "+name+" in place of otlp-headers", variable+"_HEADERS")
	}
}

// otlpVariables returns the variables of a setting that all signals share: the one for metrics goes before the one for all signals.
func otlpVariables(name string) []string {
	return []string{"OTEL_EXPORTER_OTLP_METRICS_" + name, "OTEL_EXPORTER_OTLP_" + name}
}
