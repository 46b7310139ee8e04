package config

import (
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/collector/compress"
	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/probe"
)

// define declares every setting: its name, how it is parsed, its default and its help.
func (f *Flags) define(s *Settings) {
	f.group = "Configuration"
	f.add(configFlag, text(&f.config, "FILE", nil), "YAML file of settings, in lines of NAME: value")
	f.defineSampling(s)
	f.defineProbes(s)
	f.defineExport(s)
	f.defineRelay(s)
	f.definePage(s)
	f.defineOperation(s)
}

func (f *Flags) defineSampling(s *Settings) {
	f.group = "Sampling"
	f.add("interval", interval(&s.Interval, 10*time.Second, 100*time.Millisecond),
		"how often to sample", "OTEL_METRIC_EXPORT_INTERVAL")
	f.add("host", boolean(&s.Host, true), "sample the host; turn this off if a DaemonSet does it")
	f.add("pod", boolean(&s.Pod, true),
		"sample the pod's containers and processes; turn this off in a DaemonSet that samples the host")
	f.add("cgroup-root", text(&s.CgroupRoot, "DIR", cgroupRoot),
		"where the host's cgroups are mounted, if not at /sys/fs/cgroup")
	f.add("process", list(&s.Process, "NAME", nonEmpty),
		"sample the processes with this executable name, instead of the pod's; repeatable")
}

func (f *Flags) defineProbes(s *Settings) {
	f.group = "Probes"
	f.add("probe-budget", percent(&s.ProbeBudget, 0.5), "share of one CPU that all probes together may use")
	f.add("probe-cpu-interval", intervalOrOff(&s.ProbeCPUInterval, 5*time.Second),
		"how often to run the CPU probe; 0 turns it off")
	f.add("probe-parallelism-interval", intervalOrOff(&s.ProbeParallelismInterval, time.Minute),
		"how often to measure the effective parallelism; 0 turns it off")
	f.add("probe-disk-interval", intervalOrOff(&s.ProbeDiskInterval, 30*time.Second),
		"how often to run the disk probe; 0 turns it off")
	f.add("probe-dir", text(&s.ProbeDir, "DIR", probe.CheckDir),
		"directory on the disk to probe; by default the temporary directory")
	f.add("probe-tcp", list(&s.ProbeTCP, "HOST:PORT", tcpTarget), "connect to this address; repeatable")
	f.add("probe-tcp-interval", probeInterval(&s.ProbeTCPInterval), "how often to connect")
	f.add("probe-dns", list(&s.ProbeDNS, "NAME", dnsTarget), "look up this name; repeatable")
	f.add("probe-dns-interval", probeInterval(&s.ProbeDNSInterval), "how often to look up the names")
	f.add("probe-http", list(&s.ProbeHTTP, "URL", httpTarget), "GET this URL; repeatable")
	f.add("probe-http-interval", probeInterval(&s.ProbeHTTPInterval), "how often to GET the URLs")
	f.add("probe-http-status", statuses(&s.ProbeHTTPStatus),
		"status code to expect from HTTP targets; repeatable; by default any below 400")
	f.add("probe-http-body", pattern(&s.ProbeHTTPBody),
		"regular expression (RE2) to match in the first 64 KiB of the body")
	f.add("probe-http-headers", pairs(&s.ProbeHTTPHeaders, isHeader),
		"headers to send to HTTP targets; Host also sets the TLS server name")
	f.add("probe-grpc", list(&s.ProbeGRPC, "URL", grpcTarget),
		"check this gRPC health service, such as grpc://app:9090/orders.v1.Orders, or grpcs:// for TLS; repeatable")
	f.add("probe-grpc-interval", probeInterval(&s.ProbeGRPCInterval), "how often to check the services")
	f.add("probe-certificate", text(&s.ProbeCertificate, "FILE", certificates),
		"CAs that probes trust instead of the system's (PEM), read at startup")
	f.add("probe-skip-verify", boolean(&s.ProbeSkipVerify, false),
		"let probes accept any certificate; they still report when it expires")
	f.add("probe-timeout", interval(&s.ProbeTimeout, 5*time.Second, 10*time.Millisecond),
		"deadline of one run of a network probe")
}

func (f *Flags) defineExport(s *Settings) {
	f.group = "Upstream"
	f.add("exporter", choices(&s.Exporters, []string{"auto", "none"}, "otlp", "console"),
		"where metrics go: to the endpoint, to a summary on the terminal, or to both (otlp,console); "+
			"auto is otlp if an endpoint is set, else console", "OTEL_METRICS_EXPORTER")
	f.add("traces-exporter", choice(&s.tracesExporter, "otlp", "none"),
		"otlp relays the app's traces if an endpoint is set; none refuses them", "OTEL_TRACES_EXPORTER")
	f.add("logs-exporter", choice(&s.logsExporter, "otlp", "none"),
		"otlp relays the app's logs if an endpoint is set; none refuses them", "OTEL_LOGS_EXPORTER")
	f.defineUpstreams(s)
	f.add("otlp-round-robin", boolean(&s.roundRobin, false),
		"spread gRPC requests over all addresses of the endpoint's name, instead of using one at random")
	f.add(
		"upstream-hold",
		interval(&s.UpstreamHold, 5*time.Minute, 0),
		"how long to retry a refusal that a rollout may have caused (401, 403, 404, 500, redirects …) before it counts as permanent",
	)
	f.add("metrics-order", choice(&s.MetricsOrder, "oldest", "live"),
		"after an outage, send the oldest metrics first, or live ones first and the backlog behind them; "+
			"live needs an upstream that accepts samples out of order")
	f.add("drain-factor", number(&s.DrainFactor, 3),
		"rate at which the backlog of an outage is sent, as a multiple of the live rate; 0 means no limit")
	f.add("export-timeout", interval(&s.exportTimeout, 30*time.Second, time.Millisecond),
		"deadline of one export of metrics, if shorter than that of the request", "OTEL_METRIC_EXPORT_TIMEOUT")
	f.add("temporality", choice(&s.Temporality, "cumulative", "delta", "lowmemory"),
		"temporality of sums and histograms", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
	f.add("histogram", choice(&s.Histogram, exponentialHistogram, "explicit_bucket_histogram"),
		"aggregation of histograms", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION")
	f.add("service-name", text(&s.ServiceName, "NAME", nil),
		"service.name of the resource; by default the one in the attributes, or poolgauge-sidecar", "OTEL_SERVICE_NAME")
	f.add(
		"resource-attributes",
		pairs(&s.ResourceAttributes, isAttribute),
		"more attributes of the resource, such as k8s.pod.name from the downward API; those without a value are omitted",
		"OTEL_RESOURCE_ATTRIBUTES",
	)
	f.add("sdk-disabled", boolean(&s.SDKDisabled, false), "sample and send nothing", "OTEL_SDK_DISABLED")
}

const exponentialHistogram = "base2_exponential_bucket_histogram"

// defineUpstreams declares the upstream settings for all signals, and the overrides for each
// signal. OpenTelemetry's specification defines the environment variables of these settings
// (https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
func (f *Flags) defineUpstreams(s *Settings) {
	f.defineUpstream(&s.otlp, "otlp-", "OTEL_EXPORTER_OTLP_", "")
	s.signals = map[otlp.Signal]*upstreamSettings{}
	for _, signal := range otlp.Signals() {
		own, name := &upstreamSettings{}, signal.String()
		s.signals[signal] = own
		f.defineUpstream(own, "otlp-"+name+"-", "OTEL_EXPORTER_OTLP_"+strings.ToUpper(name)+"_", name)
		*own = upstreamSettings{given: own.given} // an override has no default
	}
}

// defineUpstream declares the upstream settings for signal, or for all signals if signal is empty.
func (f *Flags) defineUpstream(u *upstreamSettings, prefix, variables, signal string) {
	u.given = map[string]bool{}
	add := func(name string, v *value, help string) {
		set := v.set
		v.set = func(given string) error {
			if err := set(given); err != nil {
				return err
			}
			u.given[name] = true
			return nil
		}
		if signal != "" {
			help, v.initial = "for "+signal+", instead of --otlp-"+name, ""
		}
		variable := variables + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		if name == "headers-file" { // not in the specification
			variable = variablePrefix + strings.ToUpper(strings.ReplaceAll(prefix+name, "-", "_"))
		}
		f.add(prefix+name, v, help, variable).Hidden = signal != ""
	}
	add(
		"endpoint",
		endpoint(&u.endpoint),
		"where to send, such as http://collector:4317; https uses TLS; with http/protobuf, /v1/metrics and so on are appended",
	)
	add("protocol", choice(&u.protocol, export.GRPC, export.HTTPProtobuf), "transport")
	add("headers", pairs(&u.headers, isHeader),
		"headers of every request; prefer the variable, since other users can see the command line")
	add("headers-file", text(&u.headersFile, "FILE", headersFile),
		"file with more headers, one key=value per line; reread when it changes, such as for a rotated token")
	add("insecure", boolean(&u.insecure, false), "use no TLS for an endpoint without http:// or https://")
	add("certificate", text(&u.certificate, "FILE", certificates), "CAs to trust instead of the system's (PEM)")
	add("client-certificate", text(&u.clientCert, "FILE", certificates), "client certificate, for mTLS (PEM)")
	add("client-key", text(&u.clientKey, "FILE", readable), "key of the client certificate (PEM)")
	add("compression", choice(&u.compression, compress.None, compress.Gzip, compress.Zstd), "compression of requests")
	add("timeout", interval(&u.timeout, 10*time.Second, time.Millisecond), "deadline of one request")
}

// defineRelay declares the settings for receiving and queueing the app's telemetry.
func (f *Flags) defineRelay(s *Settings) {
	f.group = "Relay"
	f.add("relay-grpc-address", address(&s.RelayGRPCAddress, "127.0.0.1:4317"),
		"where to receive the app's OTLP/gRPC, or off")
	f.add("relay-http-address", address(&s.RelayHTTPAddress, "127.0.0.1:4318"),
		"where to receive the app's OTLP/HTTP, or off")
	f.add("relay-socket", text(&s.RelaySocket, "PATH", nonEmpty), "Unix socket on which to receive OTLP/gRPC as well")
	f.add("relay-rate", count(&s.RelayRate),
		"items per second to accept from the app; above that, clients are told to retry; 0 means no limit")
	f.add("queue-dir", text(&s.QueueDir, "DIR", creatableDirectory),
		"directory of the queue, created if missing; without one it is in memory, and lost if the sidecar is killed")
	f.add(
		"queue-size",
		queueSize(&s.QueueSize),
		"size of the queue; when it is full, clients wait; while the upstream accepts nothing, the oldest items are dropped instead",
	)
	f.add("queue-sync", interval(&s.QueueSync, time.Second, 0),
		"how much data a power failure may lose, as a time; 0 syncs to disk before the client gets a response")
	f.add("relay-request-size", size(&s.RelayRequestSize, 4<<20, 64<<10, 64<<20),
		"largest request, before and after decompression; the sidecar may use five times as much memory")
	f.add("relay-certificate", text(&s.RelayCertificate, "FILE", certificates),
		"certificate for TLS on both addresses (PEM), read for each connection")
	f.add("relay-key", text(&s.RelayKey, "FILE", readable), "key of the certificate (PEM)")
	f.add("relay-client-ca", text(&s.relayClientCA, "FILE", certificates),
		"CAs of client certificates, which are then required (PEM)")
	f.add("relay-connections", positive(&s.RelayConnections, 256),
		"maximum number of connections of each listener; above that, the one that has been idle the longest is closed")
}

// definePage declares the settings of the page, and the memory limit of the data that it shows.
func (f *Flags) definePage(s *Settings) {
	f.group = "Page"
	f.add(pageAddressFlag, address(&s.PageAddress, "127.0.0.1:4320"),
		"where to serve the page, /api and /metrics, without authentication, or off")
	f.add("page-host", list(&s.PageHosts, "NAME", nonEmpty),
		"host name under which to serve the page, besides localhost and IP addresses; repeatable")
	f.add("live-size", size(&s.LiveSize, 4<<20, 1<<20, 1<<30),
		"memory for the app's data on the page and in the summary; data that does not fit is counted")
}

// defineOperation declares the settings for health checks, startup errors and logs.
func (f *Flags) defineOperation(s *Settings) {
	f.group = "Operation"
	f.add("health-address", address(&s.HealthAddress, "127.0.0.1:4319"), "where to serve /healthz and /readyz, or off")
	f.add(keepRunningFlag, boolean(&s.KeepRunning, false),
		"log and count an invalid setting or an address in use, and continue without it: for pods, which are taken "+
			"out of service when a sidecar exits; cannot be set in a file, and does not cover invalid flags")
	f.add("log-format", choice(&s.LogFormat, "text", "json"), "format of the log")
	f.add("log-level", choice(&s.LogLevel, "info", "debug", "warn", "error"), "minimum level to log")
}
