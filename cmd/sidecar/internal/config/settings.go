// Package config holds the sidecar's settings and finds their values: on the command line, in the
// environment and in an optional YAML file, in that order of precedence.
//
// A setting has one name with three spellings: the flag --probe-dir, the variable
// POOLGAUGE_PROBE_DIR and the key probe-dir of the file. If OpenTelemetry defines a variable for a
// setting, that variable is used instead of POOLGAUGE_NAME, with the meaning that the specification
// gives it. An empty variable counts as unset, as the specification requires.
//
// Every error is one line, which contains the setting's name as the user wrote it, what was
// expected and, unless it may be a secret, the value. The error about a misspelled name suggests
// the nearest known name.
package config

import (
	"net/url"
	"regexp"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Settings holds all settings of the sidecar. [Flags.Resolve] returns valid Settings.
type Settings struct {
	// Sampling.
	Interval   time.Duration // at least 100 ms
	Host, Pod  bool
	CgroupRoot string   // where cgroups are mounted; empty: detected
	Process    []string // executable names

	// Probes. ProbeBudget is the percentage of one CPU that all probes together may use. An
	// interval of 0 turns a probe off.
	ProbeBudget                                                              float64
	ProbeCPUInterval, ProbeParallelismInterval                               time.Duration
	ProbeDiskInterval                                                        time.Duration
	ProbeDir                                                                 string // empty: the temporary directory
	ProbeTCP, ProbeDNS, ProbeHTTP, ProbeGRPC                                 []string
	ProbeTCPInterval, ProbeDNSInterval, ProbeHTTPInterval, ProbeGRPCInterval time.Duration
	ProbeHTTPHeaders                                                         map[string]string
	ProbeHTTPStatus                                                          []int // accepted; empty: all below 400
	ProbeHTTPBody                                                            *regexp.Regexp
	ProbeCertificate                                                         string // file of CAs; empty: the system's
	ProbeSkipVerify                                                          bool
	ProbeTimeout                                                             time.Duration

	// The upstream. Exporters lists where metrics go: auto, none, or one or both of otlp and
	// console.
	Exporters                    []string
	tracesExporter, logsExporter string                            // otlp or none
	otlp                         upstreamSettings                  // for all signals
	signals                      map[otlp.Signal]*upstreamSettings // overrides for one signal
	roundRobin                   bool
	exportTimeout                time.Duration // of metrics
	UpstreamHold                 time.Duration // how long to retry a refusal that a rollout may have caused
	MetricsOrder                 string        // oldest or live
	DrainFactor                  float64       // rate of the backlog as a multiple of the live rate; 0: no limit
	Temporality                  string        // cumulative, delta or lowmemory
	Histogram                    string        // aggregation, as the specification names it
	ServiceName                  string
	ResourceAttributes           map[string]string
	SDKDisabled                  bool
	loops                        map[otlp.Signal]bool // signals whose endpoint is this sidecar; see KeepRunning

	// The relay.
	RelayGRPCAddress, RelayHTTPAddress string        // empty: off
	RelaySocket                        string        // a path; empty: off
	RelayRate                          int64         // items per second; 0: no limit
	RelayConnections                   int64         // of each listener
	RelayRequestSize                   int64         // bytes of one request, before and after decompression
	RelayCertificate, RelayKey         string        // files, for TLS on the TCP listeners; empty: no TLS
	relayClientCA                      string        // file of CAs for required client certificates; empty: none
	QueueDir                           string        // empty: in memory
	QueueSize                          int64         // bytes
	QueueSync                          time.Duration // 0: sync before the client gets a response

	// The live picture.
	LiveSize    int64    // bytes
	PageAddress string   // empty: off
	PageHosts   []string // accepted in Host headers, besides localhost and IP addresses

	// Operation.
	HealthAddress       string  // empty: off
	KeepRunning         bool    // replace invalid settings with their defaults instead of exiting
	Problems            []error // errors about invalid settings, with KeepRunning
	LogFormat, LogLevel string
}

// upstreamSettings holds the settings of requests to an upstream, for all signals or for one
// signal. A setting that is not given has its default in the settings for all signals, and is zero
// in those for one signal.
type upstreamSettings struct {
	endpoint                           url.URL // if it has no scheme, insecure decides
	protocol                           string  // export.GRPC or export.HTTPProtobuf
	headers                            map[string]string
	headersFile                        string // reread if the last read is more than a second old
	insecure                           bool
	certificate, clientCert, clientKey string // existing files
	compression                        string // one of package compress
	timeout                            time.Duration

	given map[string]bool // settings that were given, by name without otlp- and the signal
}
