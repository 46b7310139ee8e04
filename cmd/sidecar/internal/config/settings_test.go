package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// settingsOf returns the values of all settings, by flag name. A test below fails if one is
// missing.
func settingsOf(s *Settings) map[string]any {
	all := map[string]any{
		"interval":                   s.Interval,
		"host":                       s.Host,
		"pod":                        s.Pod,
		"cgroup-root":                s.CgroupRoot,
		"process":                    s.Process,
		"probe-budget":               s.ProbeBudget,
		"probe-cpu-interval":         s.ProbeCPUInterval,
		"probe-parallelism-interval": s.ProbeParallelismInterval,
		"probe-disk-interval":        s.ProbeDiskInterval,
		"probe-dir":                  s.ProbeDir,
		"probe-tcp":                  s.ProbeTCP,
		"probe-tcp-interval":         s.ProbeTCPInterval,
		"probe-dns":                  s.ProbeDNS,
		"probe-dns-interval":         s.ProbeDNSInterval,
		"probe-http":                 s.ProbeHTTP,
		"probe-http-interval":        s.ProbeHTTPInterval,
		"probe-http-status":          s.ProbeHTTPStatus,
		"probe-http-body":            s.ProbeHTTPBody,
		"probe-http-headers":         s.ProbeHTTPHeaders,
		"probe-grpc":                 s.ProbeGRPC,
		"probe-grpc-interval":        s.ProbeGRPCInterval,
		"probe-certificate":          s.ProbeCertificate,
		"probe-skip-verify":          s.ProbeSkipVerify,
		"probe-timeout":              s.ProbeTimeout,
		"exporter":                   s.Exporters,
		"traces-exporter":            s.tracesExporter,
		"logs-exporter":              s.logsExporter,
		"otlp-round-robin":           s.roundRobin,
		"upstream-hold":              s.UpstreamHold,
		"metrics-order":              s.MetricsOrder,
		"drain-factor":               s.DrainFactor,
		"export-timeout":             s.exportTimeout,
		"temporality":                s.Temporality,
		"histogram":                  s.Histogram,
		"service-name":               s.ServiceName,
		"resource-attributes":        s.ResourceAttributes,
		"sdk-disabled":               s.SDKDisabled,
		"relay-grpc-address":         s.RelayGRPCAddress,
		"relay-http-address":         s.RelayHTTPAddress,
		"relay-socket":               s.RelaySocket,
		"relay-rate":                 s.RelayRate,
		"queue-dir":                  s.QueueDir,
		"queue-size":                 s.QueueSize,
		"queue-sync":                 s.QueueSync,
		"relay-request-size":         s.RelayRequestSize,
		"relay-certificate":          s.RelayCertificate,
		"relay-key":                  s.RelayKey,
		"relay-client-ca":            s.relayClientCA,
		"relay-connections":          s.RelayConnections,
		"page-address":               s.PageAddress,
		"page-host":                  s.PageHosts,
		"live-size":                  s.LiveSize,
		"health-address":             s.HealthAddress,
		"keep-running":               s.KeepRunning,
		"log-format":                 s.LogFormat,
		"log-level":                  s.LogLevel,
	}
	for _, signal := range append(otlp.Signals(), 0) {
		u, prefix := &s.otlp, "otlp-"
		if signal != 0 {
			u, prefix = s.signals[signal], "otlp-"+signal.String()+"-"
		}
		for name, v := range map[string]any{
			"endpoint": u.endpoint.String(), "protocol": u.protocol, "headers": u.headers, "headers-file": u.headersFile,
			"insecure": u.insecure, "certificate": u.certificate, "client-certificate": u.clientCert,
			"client-key": u.clientKey, "compression": u.compression, "timeout": u.timeout,
		} {
			all[prefix+name] = v
		}
	}
	return all
}

// A row holds a setting's default, if it has one, and the text of another value. If the setting
// formats that value differently, want is its formatted form. Settings without a row have no
// default and are tested elsewhere.
func TestEverySettingHasItsDefaultAndTakesAValue(t *testing.T) {
	dir := t.TempDir()
	rows := map[string]struct{ initial, given, want string }{
		"interval": {"10s", "100", "100ms"},
		"host":     {"true", "FALSE", "false"},
		"pod":      {"true", "false", ""},
		"process": {
			"[]",
			"java",
			"[java]",
		},
		"probe-budget":       {"0.5", "100%", "100"},
		"probe-cpu-interval": {"5s", "0", "0s"},
		"probe-parallelism-interval": {
			"1m0s",
			"0s",
			"",
		},
		"probe-disk-interval": {"30s", "1h0m0s", ""},
		"probe-dir":           {"", dir, ""},
		"probe-tcp":           {"[]", "h:1", "[h:1]"},
		"probe-tcp-interval":  {"15s", "1s", ""},
		"probe-dns":           {"[]", "h", "[h]"},
		"probe-dns-interval": {
			"15s",
			"1s",
			"",
		},
		"probe-http":          {"[]", "http://h/", "[http://h/]"},
		"probe-http-interval": {"15s", "1s", ""},
		"probe-http-status": {
			"[]",
			"200",
			"[200]",
		},
		"probe-http-body":     {"<nil>", "a+", ""},
		"probe-http-headers":  {"map[]", "a=b", "map[a:b]"},
		"probe-grpc":          {"[]", "grpc://h:1", "[grpc://h:1]"},
		"probe-grpc-interval": {"15s", "1s", ""},
		"probe-skip-verify": {
			"false",
			"true",
			"",
		},
		"probe-timeout": {"5s", "10ms", ""},
		"exporter":      {"[auto]", "Console", "[console]"},
		"traces-exporter": {
			"otlp",
			"none",
			"",
		},
		"logs-exporter": {"otlp", "none", ""},
		"otlp-protocol": {"grpc", "http/protobuf", ""},
		"otlp-headers": {
			"map[]",
			"a=%20",
			"map[a: ]",
		},
		"otlp-insecure":    {"false", "true", ""},
		"otlp-compression": {"none", "zstd", ""},
		"otlp-timeout": {
			"10s",
			"1ms",
			"",
		},
		"otlp-endpoint":       {"", "http://h:1", ""},
		"otlp-round-robin":    {"false", "true", ""},
		"upstream-hold":       {"5m0s", "0s", ""},
		"metrics-order":       {"oldest", "live", ""},
		"drain-factor":        {"3", "0.5", ""},
		"export-timeout":      {"30s", "1ms", ""},
		"temporality":         {"cumulative", "lowmemory", ""},
		"histogram":           {exponentialHistogram, "explicit_bucket_histogram", ""},
		"service-name":        {"", "svc", ""},
		"resource-attributes": {"map[]", "a=b,", "map[a:b]"},
		"sdk-disabled":        {"false", "true", ""},
		"relay-grpc-address":  {"127.0.0.1:4317", "off", " "},
		"relay-http-address":  {"127.0.0.1:4318", ":0", ""},
		"relay-socket":        {"", "/run/s", ""},
		"relay-rate":          {"0", "7", ""},
		"queue-dir":           {"", dir + "/new", ""},
		"queue-size": {
			"8388608",
			"1MiB",
			"1048576",
		},
		"queue-sync":         {"1s", "0s", ""},
		"relay-request-size": {"4194304", "64Ki", "65536"},
		"relay-connections": {
			"256",
			"1",
			"",
		},
		"page-address":   {"127.0.0.1:4320", "off", " "},
		"page-host":      {"[]", "h", "[h]"},
		"live-size":      {"4194304", "1GiB", "1073741824"},
		"health-address": {"127.0.0.1:4319", "[::1]:1", ""},
		"keep-running":   {"false", "true", ""},
		"log-format":     {"text", "json", ""},
		"log-level":      {"info", "error", ""},
	}
	initial := settingsOf(mustParse(t, nil, nil))
	flags := Declare(pflag.NewFlagSet("", pflag.ContinueOnError)).all
	for name := range initial {
		if flags.Lookup(name) == nil {
			t.Errorf("there is no flag --%s", name)
		}
	}
	flags.VisitAll(func(flag *pflag.Flag) {
		row, tested := rows[flag.Name]
		value, known := initial[flag.Name]
		if !known && flag.Name != configFlag {
			t.Errorf("settingsOf does not return the value of --%s", flag.Name)
		}
		if got := fmt.Sprint(
			value,
		); known && got != row.initial &&
			(tested || !slices.Contains([]string{"", "map[]", "0s", "false"}, got)) {
			t.Errorf("--%s is %s by default, want %s", flag.Name, got, row.initial)
		}
		if !tested {
			return
		}
		want := strings.TrimSpace(row.want)
		if row.want == "" {
			want = row.given
		}
		s := mustParse(t, []string{"--" + flag.Name + "=" + row.given}, nil)
		if got := fmt.Sprint(settingsOf(s)[flag.Name]); got != want {
			t.Errorf("--%s=%s becomes %s, want %s", flag.Name, row.given, got, want)
		}
		if Group(flag) == "" || flag.Usage == "" {
			t.Errorf("--%s has the group %q and the help %q", flag.Name, Group(flag), flag.Usage)
		}
	})
}

func TestBoundsOfSettings(t *testing.T) {
	file := write(t, "file", "x")
	bounds := map[string]struct{ accepted, rejected []string }{
		"interval": {
			[]string{"100ms", "24h", "86400000"},
			[]string{"99ms", "24h0m1s", "86400001", "-1", ""},
		},
		"probe-tcp-interval":         {[]string{"1s"}, []string{"999ms", "0"}},
		"probe-dns-interval":         {[]string{"1s"}, []string{"999ms", "0"}},
		"probe-http-interval":        {[]string{"1s"}, []string{"999ms", "0"}},
		"probe-grpc-interval":        {[]string{"1s"}, []string{"999ms", "0"}},
		"probe-cpu-interval":         {[]string{"0", "0s", "100ms"}, []string{"99ms", "-0.1s"}},
		"probe-disk-interval":        {[]string{"0", "0s", "100ms"}, []string{"99ms", "-0.1s"}},
		"probe-timeout":              {[]string{"10ms", "24h"}, []string{"9ms", "0"}},
		"probe-parallelism-interval": {[]string{"0", "0s", "100ms"}, []string{"99ms", "-0.1s"}},
		"upstream-hold":              {[]string{"0", "24h"}, []string{"-1ms", "25h"}},
		"export-timeout":             {[]string{"1ms", "24h"}, []string{"999us", "0"}},
		"otlp-timeout":               {[]string{"1ms", "24h"}, []string{"999us", "0"}},
		"queue-sync":                 {[]string{"0", "24h"}, []string{"-1ms", "25h"}},
		"queue-size":                 {[]string{"1MiB", "64GiB"}, []string{"1048575", "65GiB", "-1", "x"}},
		"probe-budget":               {[]string{"0.001", "100", "1%"}, []string{"0", "100.1", "-1", "x"}},
		"probe-http-status":          {[]string{"200", "599"}, []string{"199", "600", "ok"}},
		"probe-http-body":            {[]string{"^ok$"}, []string{"", "("}},
		"drain-factor":               {[]string{"0", "1000000"}, []string{"-0.1", "1000001", "Inf", "x"}},
		"relay-rate":                 {[]string{"0"}, []string{"-1", "1.5", "x"}},
		"relay-connections":          {[]string{"1"}, []string{"0", "x"}},
		"relay-request-size":         {[]string{"64KiB", "64MiB"}, []string{"65535", "65MiB"}},
		"live-size":                  {[]string{"1048576", "1GiB"}, []string{"1048575", "1073741825"}},
		"probe-dir":                  {nil, []string{file}},
		"queue-dir":                  {[]string{filepath.Join(t.TempDir(), "new", "deep")}, []string{file, ""}},
		"cgroup-root":                {nil, []string{file, "/no/such"}},
		"relay-key":                  {nil, []string{"/no/such"}},
		"relay-socket":               {nil, []string{""}},
		"health-address":             {[]string{"h:0", ":65535"}, []string{"h:65536", "h", "h:x", ""}},
		"otlp-endpoint": {
			[]string{"https://h", "https://h:1", "http://h:65535"},
			[]string{"https://h:", "https://:1", "http://h:0", "unix://h/p", "unix://", "h:0", ":1", "a b:1"},
		},
		"otlp-headers": {
			[]string{"a-b_c.1=~", "a=b,,"},
			[]string{"a", "=b", "é=b", "a=%7f", "a=%zz", "a=%ff"},
		},
		"resource-attributes": {[]string{"a=é", "a="}, []string{"=b", "a"}},
		"page-host":           {[]string{"h"}, []string{""}},
		"exporter":            {[]string{"otlp, console"}, []string{"otlp,none", "x"}},
		"log-level":           {[]string{"WARN"}, []string{"fatal", ""}},
		"host":                {[]string{"True"}, []string{"1", ""}},
	}
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	Declare(all)
	all.VisitAll(func(f *pflag.Flag) {
		_, tested := bounds[f.Name]
		ofOneSignal := slices.ContainsFunc([]string{"traces-", "metrics-", "logs-"}, func(signal string) bool {
			return strings.HasPrefix(strings.TrimPrefix(f.Name, "otlp-"), signal)
		})
		if slices.Contains([]string{"DURATION", "SIZE", "PERCENT", "NUMBER"}, f.Value.Type()) && !tested &&
			!ofOneSignal {
			t.Errorf("the bounds of --%s are not tested", f.Name)
		}
	})
	for name, c := range bounds {
		for want, values := range map[bool][]string{true: c.accepted, false: c.rejected} {
			for _, given := range values {
				set := pflag.NewFlagSet("", pflag.ContinueOnError)
				flags := Declare(set)
				before := fmt.Sprint(settingsOf(flags.settings)[name])
				if err := set.Set(name, given); (err == nil) != want {
					t.Errorf("--%s=%s: got error %v, want accepted: %v", name, given, err, want)
				}
				if after := fmt.Sprint(settingsOf(flags.settings)[name]); !want && after != before {
					t.Errorf("--%s=%s is rejected, but changes the value from %s to %s", name, given, before, after)
				}
			}
		}
	}
}

// With keep-running, an invalid setting is recorded in Settings.Problems and its default is used;
// otherwise parsing fails. A file cannot turn keep-running on, and an invalid flag always fails.
func TestKeepRunningToleratesInvalidSettings(t *testing.T) {
	file := write(t, "c.yaml", "zzz: 1\n")
	environ := []string{
		"POOLGAUGE_KEEP_RUNNING=true",
		"POOLGAUGE_CONFIG=" + file,
		"POOLGAUGE_QUEUE_SIZE=lots",
		"POOLGAUGE_PROBE_DIRR=/tmp",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317",
		"OTEL_METRICS_EXPORTER=otlp,console",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta",
	}
	s := mustParse(t, nil, environ)
	var all []string
	for _, problem := range s.Problems {
		all = append(all, problem.Error())
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{"POOLGAUGE_PROBE_DIRR, did", `unknown key "zzz"`, "POOLGAUGE_QUEUE_SIZE: ", "--otlp-endpoint: ", "--temporality: "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the problems:\n%s", want, text)
		}
	}
	if s.QueueSize != 8<<20 || s.Temporality != "cumulative" || s.SendsOTLP() {
		t.Errorf("got %+v, want the defaults and no OTLP", s)
	}
	for i := range environ[1:] {
		if _, err := parse(nil, environ[i+1:i+2]); (err == nil) != (i == 5) {
			t.Errorf("without keep-running, %s: got error %v", environ[i+1], err)
		}
	}
	for _, args := range [][]string{{"--keep-running", "--queue-size=lots"}, {"--config", write(t, "k.yaml", "keep-running: true\n")}} {
		if _, err := parse(args, nil); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	s = mustParse(t, []string{"--keep-running"}, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://h:1",
		"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=h",
		"OTEL_EXPORTER_OTLP_LOGS_TIMEOUT=x",
	})
	if c, ok := s.Upstream(
		otlp.Logs,
		"",
	); !ok || c.URL != "http://h:1" || c.Timeout.String() != "10s" ||
		len(s.Problems) != 2 {
		t.Errorf("invalid settings for one signal: got %+v, %v, problems %v", c, ok, s.Problems)
	}
	if s := mustParse(t, []string{"--keep-running"}, nil); len(s.Problems) != 1 || s.ShowsSummary() {
		t.Errorf(
			"without an endpoint: problems %v, summary %v; want one problem and no summary",
			s.Problems, s.ShowsSummary(),
		)
	}
}

// A command reads only the settings that it declares, from every source.
func TestCommandReadsOnlyItsSettings(t *testing.T) {
	set := pflag.NewFlagSet("top", pflag.ContinueOnError)
	flags := Declare(set, "config", "page-address")
	if err := set.Parse([]string{"--config", write(t, "c.yaml", "page-address: h:1\ninterval: 1s\n")}); err != nil {
		t.Fatal(err)
	}
	s, err := flags.Resolve([]string{"POOLGAUGE_QUEUE_SIZE=lots"})
	if err != nil || s.PageAddress != "h:1" || s.Interval.String() != "10s" {
		t.Errorf("got %+v, error %v; want only the page address from the file", s, err)
	}
	if _, err := flags.Resolve([]string{"POOLGAUGE_QUEUE_SIZ=1"}); err == nil {
		t.Error("a misspelled variable was accepted")
	}
}
