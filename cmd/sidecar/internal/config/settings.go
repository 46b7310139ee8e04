// Package config holds the sidecar's settings and finds their values: on the command line, in the
// environment, in an optional YAML file, in that order of precedence.
//
// A setting has one name with three spellings: the flag --probe-dir, the variable
// POOLGAUGE_PROBE_DIR and the key probe-dir of the file. Where OpenTelemetry has a standard
// variable, that variable takes the place of ours and means what it means elsewhere. An empty
// variable counts as unset, as OpenTelemetry's specification has it.
//
// Every error is one line that names the setting as the user wrote it, what was expected and,
// unless it may be a secret, the value; a misspelt name comes with the nearest known one.
package config

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/collector/compress"
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
	ProbeBudget                                                              float64 // percent of one core for all probes together
	ProbeCPUInterval, ProbeParallelismInterval                               time.Duration
	ProbeDiskInterval                                                        time.Duration
	ProbeDir                                                                 string // empty: the temporary directory
	ProbeTCP, ProbeDNS, ProbeHTTP, ProbeGRPC                                 []string
	ProbeTCPInterval, ProbeDNSInterval, ProbeHTTPInterval, ProbeGRPCInterval time.Duration
	ProbeHTTPHeaders                                                         map[string]string
	ProbeHTTPStatus                                                          []int // empty: all below 400
	ProbeHTTPBody                                                            *regexp.Regexp
	ProbeCertificate                                                         string // a file, which exists; empty: the system's
	ProbeSkipVerify                                                          bool
	ProbeTimeout                                                             time.Duration

	// The upstream.
	Exporters                    []string                        // of metrics: auto or none, or of otlp and console
	TracesExporter, LogsExporter string                          // otlp or none
	OTLP                         SignalUpstream                  // for all signals
	OTLPSignals                  map[otlp.Signal]*SignalUpstream // what each has of its own
	OTLPRoundRobin               bool
	ExportTimeout                time.Duration // of metrics
	UpstreamHold                 time.Duration // how long a refusal must last that may be a roll-out's
	MetricsOrder                 string        // oldest or live
	DrainFactor                  float64       // of the live rate, at which the backlog is sent; 0: no bound
	Temporality                  string        // cumulative, delta or lowmemory
	Histogram                    string        // …_histogram, by the names of the specification
	ServiceName                  string
	ResourceAttributes           map[string]string
	SDKDisabled                  bool
	nowhere                      map[otlp.Signal]bool // signals whose endpoint is the sidecar itself, with KeepRunning

	// The relay.
	RelayGRPCAddress, RelayHTTPAddress string // empty: off
	RelaySocket                        string // a path; empty: off
	RelayRate                          int64  // points a second; 0: no limit
	RelayConnections                   int64  // of each listener
	RelayRequestSize                   int64  // bytes of one request, before and after decompression
	RelayCertificate, RelayKey         string // files, of the listeners on TCP; empty: no TLS
	// file of the authorities that clients' certificates are of; empty: clients need none
	RelayClientCA string
	QueueDir      string        // empty: in memory
	QueueSize     int64         // bytes; 16 MiB, 8 in memory, if it is not given
	QueueSync     time.Duration // 0: before the client is answered

	// The live picture.
	LiveSize    int64    // bytes
	PageAddress string   // empty: off
	PageHosts   []string // names under which it may be asked for, besides localhost and addresses

	// Life.
	HealthAddress       string  // empty: off
	KeepRunning         bool    // whatever is wrong
	Problems            []error // with KeepRunning: what is wrong, and has its default
	LogFormat, LogLevel string
}

// SignalUpstream is where requests go and how: for all signals, or what one has of its own. What is
// not given is zero for one signal, and has its default for all.
type SignalUpstream struct {
	Endpoint                           url.URL // without a scheme: insecure decides
	Protocol                           string  // export.GRPC or export.HTTPProtobuf
	Headers                            map[string]string
	HeadersFile                        string // read again for each request
	Insecure                           bool
	Certificate, ClientCert, ClientKey string // files, which exist
	Compression                        string // one of package compress
	Timeout                            time.Duration

	given map[string]bool // by the name of the setting, without otlp- and the signal
}

// The groups of settings in the help.
const (
	groupSampling = "Sampling"
	groupProbes   = "Probes"
	groupUpstream = "Upstream"
	groupRelay    = "Relay"
	groupPage     = "Page"
	groupLife     = "Life"
)

// define declares every setting once: its name, its default, how it is checked and what it means.
func (f *Flags) define(s *Settings) {
	f.group = groupSampling
	f.add(
		"interval",
		interval(&s.Interval, 10*time.Second, 100*time.Millisecond),
		"how often to sample",
		"OTEL_METRIC_EXPORT_INTERVAL",
	)
	f.add("host", boolean(&s.Host, true), "sample the host; turn it off where a DaemonSet does that")
	f.add(
		"pod",
		boolean(&s.Pod, true),
		"sample the containers and processes of the pod; turn it off in a DaemonSet for the host",
	)
	f.add(
		"cgroup-root",
		text(&s.CgroupRoot, "DIR", cgroupRoot),
		"where the host's control groups are mounted, if not at /sys/fs/cgroup",
	)
	f.add(
		"process",
		list(&s.Process, "NAME", notNothing),
		"sample the processes of this executable name, wherever they are, in place of the pod's; repeatable",
	)

	f.group = groupProbes
	f.add("probe-budget", percent(&s.ProbeBudget, 0.5), "share of one core that all probes together may use")
	f.add(
		"probe-cpu-interval",
		intervalOrOff(&s.ProbeCPUInterval, 5*time.Second),
		"how often to run the CPU probe; 0 turns it off",
	)
	f.add(
		"probe-parallelism-interval",
		intervalOrOff(&s.ProbeParallelismInterval, time.Minute),
		"how often to measure the CPUs that can be had at once; 0 turns it off",
	)
	f.add(
		"probe-disk-interval",
		intervalOrOff(&s.ProbeDiskInterval, 30*time.Second),
		"how often to run the disk probe; 0 turns it off",
	)
	f.add(
		"probe-dir",
		text(&s.ProbeDir, "DIR", probe.CheckDir),
		"directory on the disk to probe; the temporary directory if not given",
	)
	f.add("probe-tcp", list(&s.ProbeTCP, "HOST:PORT", tcpTarget), "connect to this address; repeatable")
	f.add("probe-tcp-interval", interval(&s.ProbeTCPInterval, 15*time.Second, time.Second), "how often to connect")
	f.add("probe-dns", list(&s.ProbeDNS, "NAME", dnsTarget), "look up this name; repeatable")
	f.add("probe-dns-interval", interval(&s.ProbeDNSInterval, 15*time.Second, time.Second), "how often to look up")
	f.add("probe-http", list(&s.ProbeHTTP, "URL", httpTarget), "GET this URL; repeatable")
	f.add("probe-http-interval", interval(&s.ProbeHTTPInterval, 15*time.Second, time.Second), "how often to GET")
	f.add(
		"probe-http-status",
		statuses(&s.ProbeHTTPStatus),
		"status that HTTP targets must answer with; repeatable; without it any below 400",
	)
	f.add(
		"probe-http-body",
		pattern(&s.ProbeHTTPBody),
		"regular expression (RE2) that must match in the first 64 KiB of their body",
	)
	f.add(
		"probe-http-headers",
		pairs(&s.ProbeHTTPHeaders, isHeader),
		"headers to send to them; Host replaces that of the URL, for TLS too",
	)
	f.add(
		"probe-grpc",
		list(&s.ProbeGRPC, "URL", grpcTarget),
		"ask this gRPC health service, such as grpc://app:9090/orders.v1.Orders, or grpcs:// for TLS; repeatable",
	)
	f.add("probe-grpc-interval", interval(&s.ProbeGRPCInterval, 15*time.Second, time.Second), "how often to ask")
	f.add(
		"probe-certificate",
		text(&s.ProbeCertificate, "FILE", certificates),
		"authorities that probes over TLS trust in place of the system's (PEM), read at the start",
	)
	f.add(
		"probe-skip-verify",
		boolean(&s.ProbeSkipVerify, false),
		"probes over TLS take any certificate, and tell when it expires",
	)
	f.add(
		"probe-timeout",
		interval(&s.ProbeTimeout, 5*time.Second, 10*time.Millisecond),
		"deadline of one run of a network probe",
	)

	f.group = groupUpstream
	f.add(
		"exporter",
		choices(&s.Exporters, []string{"auto", "none"}, "otlp", "console"),
		"console is a summary on the terminal, and otlp,console both; auto is otlp if an endpoint is set, else console",
		"OTEL_METRICS_EXPORTER",
	)
	f.add(
		"traces-exporter",
		choice(&s.TracesExporter, "otlp", "none"),
		"otlp relays the app's traces where an endpoint is set, none refuses them",
		"OTEL_TRACES_EXPORTER",
	)
	f.add(
		"logs-exporter",
		choice(&s.LogsExporter, "otlp", "none"),
		"otlp relays the app's logs where an endpoint is set, none refuses them",
		"OTEL_LOGS_EXPORTER",
	)
	f.defineUpstreams(s)
	f.add(
		"otlp-round-robin",
		boolean(&s.OTLPRoundRobin, false),
		"spread gRPC requests over all addresses of the endpoint's name; else one of them is taken at random",
	)
	f.add(
		"upstream-hold",
		interval(&s.UpstreamHold, 5*time.Minute, 0),
		"how long to retry what is refused as in a roll-out (401, 403, 404, 500, redirects and their like) before it is lost",
	)
	f.add(
		"metrics-order",
		choice(&s.MetricsOrder, "oldest", "live"),
		"after an outage: the oldest metrics first, or live ones first and the backlog behind them; live takes an upstream that accepts samples out of order",
	)
	f.add(
		"drain-factor",
		number(&s.DrainFactor, 3),
		"how fast the backlog of an outage is sent: so many times the rate at which points come; 0 is no bound",
	)
	f.add(
		"export-timeout",
		interval(&s.ExportTimeout, 30*time.Second, time.Millisecond),
		"deadline of one export; that of the request holds too",
		"OTEL_METRIC_EXPORT_TIMEOUT",
	)
	f.add(
		"temporality",
		choice(&s.Temporality, "cumulative", "delta", "lowmemory"),
		"temporality of sums and histograms",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
	)
	f.add("histogram", choice(&s.Histogram, "base2_exponential_bucket_histogram", "explicit_bucket_histogram"),
		"aggregation of histograms", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION")
	f.add(
		"service-name",
		text(&s.ServiceName, "NAME", nil),
		"service.name of the resource; else from the attributes, else poolgauge-sidecar",
		"OTEL_SERVICE_NAME",
	)
	f.add(
		"resource-attributes",
		pairs(&s.ResourceAttributes, isAttribute),
		"more attributes of the resource, such as k8s.pod.name from the downward API; those without a value are left out",
		"OTEL_RESOURCE_ATTRIBUTES",
	)
	f.add("sdk-disabled", boolean(&s.SDKDisabled, false), "sample and send nothing", "OTEL_SDK_DISABLED")
	f.defineRelay(s)
	f.definePage(s)
}

// defineRelay declares what is taken from the app, and where it waits.
func (f *Flags) defineRelay(s *Settings) {
	f.group = groupRelay
	f.add(
		"relay-grpc-address",
		address(&s.RelayGRPCAddress, "127.0.0.1:4317"),
		"where the app's OTLP/gRPC is taken; off takes none",
	)
	f.add(
		"relay-http-address",
		address(&s.RelayHTTPAddress, "127.0.0.1:4318"),
		"where the app's OTLP/HTTP is taken; off takes none",
	)
	f.add(
		"relay-socket",
		text(&s.RelaySocket, "PATH", notNothing),
		"unix socket where the app's OTLP/gRPC is taken too",
	)
	f.add(
		"relay-rate",
		count(&s.RelayRate),
		"points a second to take from the app; clients are told to come back for more; 0 is no limit",
	)
	f.add(
		"queue-dir",
		text(&s.QueueDir, "DIR", directoryToBe),
		"directory that keeps what waits for the upstream, made if it is missing; without one a killed sidecar loses it",
	)
	f.add(
		"queue-size",
		queueSize(&s.QueueSize),
		"how much may wait for the upstream; when that is away the oldest is dropped, else clients wait",
	)
	f.add(
		"queue-sync",
		interval(&s.QueueSync, time.Second, 0),
		"how much a power failure may lose; 0 syncs to disk before the client is answered",
	)
	f.add(
		"relay-request-size",
		size(&s.RelayRequestSize, 4<<20, 64<<10, 64<<20),
		"largest request of the app, before and after decompression; the sidecar may take about five times as much memory",
	)
	f.add(
		"relay-certificate",
		text(&s.RelayCertificate, "FILE", certificates),
		"certificate for TLS at relay-grpc-address and relay-http-address (PEM), read for each connection",
	)
	f.add("relay-key", text(&s.RelayKey, "FILE", readable), "its key (PEM)")
	f.add(
		"relay-client-ca",
		text(&s.RelayClientCA, "FILE", certificates),
		"authorities of clients' certificates, which are required then (PEM)",
	)
	f.add(
		"relay-connections",
		atLeastOne(&s.RelayConnections, 256),
		"connections of clients to each listener; when more come, the longest idle is closed",
	)
}

// definePage declares the page, and how the sidecar shows that it lives.
func (f *Flags) definePage(s *Settings) {
	f.group = groupPage
	f.add(
		"page-address",
		address(&s.PageAddress, "127.0.0.1:4320"),
		"where the page, /api and /metrics are served, without authentication; off serves none",
	)
	f.add(
		"page-host",
		list(&s.PageHosts, "NAME", notNothing),
		"name under which the page may be asked for, besides localhost and addresses; repeatable",
	)
	f.add(
		"live-size",
		size(&s.LiveSize, 4<<20, 1<<20, 1<<30),
		"memory for what the page and the summary show of the app; what does not fit is counted",
	)

	f.group = groupLife
	f.add(
		"health-address",
		address(&s.HealthAddress, "127.0.0.1:4319"),
		"where /healthz and /readyz answer; off turns them off",
	)
	f.add(
		keepRunningFlag,
		boolean(&s.KeepRunning, false),
		"go on without what is set wrongly or cannot be opened, and say and count it; for a pod, which a sidecar that exits takes out of service. Not from a file, and not for wrong flags",
	)
	f.add("log-format", choice(&s.LogFormat, "text", "json"), "format of the log")
	f.add("log-level", choice(&s.LogLevel, "info", "debug", "warn", "error"), "least level to log")
}

// defineUpstreams declares what is for all signals, and what each may have of its own. The
// variables are the specification's (https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
func (f *Flags) defineUpstreams(s *Settings) {
	f.defineUpstream(&s.OTLP, "otlp-", "OTEL_EXPORTER_OTLP_", "")
	s.OTLPSignals = map[otlp.Signal]*SignalUpstream{}
	for _, signal := range otlp.Signals() {
		own, name := &SignalUpstream{}, signal.String()
		s.OTLPSignals[signal] = own
		f.defineUpstream(own, "otlp-"+name+"-", "OTEL_EXPORTER_OTLP_"+strings.ToUpper(name)+"_", name)
		*own = SignalUpstream{given: own.given} // it has no defaults
	}
}

// defineUpstream declares the settings of one upstream; signal is empty for all of them.
func (f *Flags) defineUpstream(u *SignalUpstream, prefix, variables, signal string) {
	u.given = map[string]bool{}
	add := func(name string, v *value, help string) {
		set := v.set
		v.set = func(given string) error {
			u.given[name] = true
			return set(given)
		}
		if signal != "" {
			help, v.standing = "for "+signal+", in place of otlp-"+name, ""
		}
		variable := variables + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		if name == "headers-file" { // which the specification does not know
			variable = variablePrefix + strings.ToUpper(strings.ReplaceAll(prefix+name, "-", "_"))
		}
		f.add(prefix+name, v, help, variable)
	}
	add(
		"endpoint",
		endpoint(&u.Endpoint),
		"where to send, such as http://collector:4317; https uses TLS; http/protobuf appends /v1/metrics and so on, but not to that of one signal",
	)
	add("protocol", choice(&u.Protocol, export.GRPC, export.HTTPProtobuf), "transport")
	add(
		"headers",
		pairs(&u.Headers, isHeader),
		"headers of every request; prefer the variable, since others can read a command line",
	)
	add(
		"headers-file",
		text(&u.HeadersFile, "FILE", headersFile),
		"file of more headers, a line key=value each, read again when it changes: for a token that is renewed",
	)
	add("insecure", boolean(&u.Insecure, false), "no TLS to an endpoint that is given without http or https")
	add(
		"certificate",
		text(&u.Certificate, "FILE", certificates),
		"authorities to trust in place of the system's (PEM)",
	)
	add("client-certificate", text(&u.ClientCert, "FILE", certificates), "client certificate, for mTLS (PEM)")
	add("client-key", text(&u.ClientKey, "FILE", readable), "its key (PEM)")
	add("compression", choice(&u.Compression, compress.None, compress.Gzip, compress.Zstd), "compression of requests")
	add("timeout", interval(&u.Timeout, 10*time.Second, time.Millisecond), "deadline of one request")
}
