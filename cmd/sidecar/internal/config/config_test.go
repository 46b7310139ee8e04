package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// parse resolves the settings from a command line and an environment, as the program does.
func parse(args, environ []string) (*Settings, error) {
	set := pflag.NewFlagSet("sidecar", pflag.ContinueOnError)
	flags := Declare(set)
	if err := set.Parse(args); err != nil {
		return nil, flags.Explain(err, "sidecar", set)
	}
	return flags.Resolve(environ)
}

func mustParse(t *testing.T, args, environ []string) *Settings {
	t.Helper()
	s, err := parse(args, environ)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	s := mustParse(t, nil, nil)
	if s.Interval != 10*time.Second || !s.Host || s.ProbeBudget != 0.5 ||
		s.Histogram != "base2_exponential_bucket_histogram" {
		t.Errorf("defaults: %+v", s)
	}
	if s.SendsOTLP() || !s.ShowsSummary() {
		t.Error("without an endpoint, OTLP is sent or no summary is shown")
	}
}

func TestFlagsOverrideVariablesAndVariablesOverrideTheFile(t *testing.T) {
	file := write(t, "c.yaml", "interval: 3s\nprobe-budget: 3\nlog-level: error\n")
	s := mustParse(t,
		[]string{"--config", file, "--interval", "1s"},
		[]string{"OTEL_METRIC_EXPORT_INTERVAL=2000", "POOLGAUGE_PROBE_BUDGET=2", "POOLGAUGE_LOG_LEVEL="})
	if s.Interval != time.Second {
		t.Errorf("interval %v: the flag does not override the variable", s.Interval)
	}
	if s.ProbeBudget != 2 {
		t.Errorf("probe budget %v: the variable does not override the file", s.ProbeBudget)
	}
	if s.LogLevel != "error" {
		t.Errorf("log level %v: an empty variable does not count as unset", s.LogLevel)
	}
}

func TestOpenTelemetryVariablesHaveTheirSpecifiedMeaning(t *testing.T) {
	s := mustParse(t, nil, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://all:4317", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=https://metrics:4317/",
		"OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20x,tenant= a ", "OTEL_EXPORTER_OTLP_COMPRESSION=GZIP",
		"OTEL_EXPORTER_OTLP_TIMEOUT=2500", "OTEL_METRIC_EXPORT_INTERVAL=500", "OTEL_METRIC_EXPORT_TIMEOUT=700",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=Delta",
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=explicit_bucket_histogram",
		"OTEL_SERVICE_NAME=svc", "OTEL_RESOURCE_ATTRIBUTES=k8s.pod.name=p%2C1,a/b=c", "OTEL_SDK_DISABLED=true",
	})
	if got := s.EndpointURL(otlp.Metrics); got != "https://metrics:4317/" || !s.SendsOTLP() {
		t.Errorf("got endpoint %q, want https://metrics:4317/", got)
	}
	if want := map[string]string{"Authorization": "Bearer x", "tenant": "a"}; !reflect.DeepEqual(s.otlp.headers, want) {
		t.Errorf("got headers %v, want %v", s.otlp.headers, want)
	}
	if want := map[string]string{"k8s.pod.name": "p,1", "a/b": "c"}; !reflect.DeepEqual(s.ResourceAttributes, want) {
		t.Errorf("got attributes %v, want %v", s.ResourceAttributes, want)
	}
	if s.otlp.compression != "gzip" || s.otlp.timeout != 2500*time.Millisecond || s.Interval != 500*time.Millisecond ||
		s.exportTimeout != 700*time.Millisecond || s.Temporality != "delta" || s.Histogram != "explicit_bucket_histogram" ||
		s.ServiceName != "svc" || !s.SDKDisabled {
		t.Errorf("got settings %+v, want those in the variables", s)
	}
}

func TestEndpointForms(t *testing.T) {
	for given, want := range map[string]string{
		"http://h:4317":         "http://h:4317",
		"https://h":             "https://h",
		"http://[::1]:5317/":    "http://[::1]:5317/",
		"h:4317":                "https://h:4317",
		"[::1]:5317":            "https://[::1]:5317",
		"unix:///run/otlp.sock": "unix:///run/otlp.sock",
		"HTTP://h:4317":         "http://h:4317",
		"http://h:4317/v1/x":    "http://h:4317/v1/x",
	} {
		if s, err := parse([]string{"--otlp-endpoint", given}, nil); err != nil || s.EndpointURL(otlp.Metrics) != want {
			t.Errorf("%s: error %v, or the URL is not %s", given, err, want)
		}
	}
	s := mustParse(t, nil, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=h:4317", "OTEL_EXPORTER_OTLP_INSECURE=true"})
	if got := s.EndpointURL(otlp.Metrics); got != "http://h:4317" {
		t.Errorf("OTEL_EXPORTER_OTLP_INSECURE: got endpoint %s, want http://h:4317", got)
	}
	if got := mustParse(
		t,
		[]string{"--relay-grpc-address", "off"},
		[]string{"OTEL_METRICS_EXPORTER=otlp"},
	).EndpointURL(otlp.Metrics); got != "http://localhost:4317" {
		t.Errorf("got default endpoint %s, want http://localhost:4317", got)
	}
}

func TestRepeatableSettings(t *testing.T) {
	file := write(t, "c.yaml", "probe-tcp:\n  - a:1\n  - b:2\nprocess: one\nprobe-http: [\"http://h/?a=1,2\"]\n")
	s := mustParse(t, []string{"--config", file, "--probe-dns", "x", "--probe-dns", "y"}, nil)
	for got, want := range map[*[]string][]string{
		&s.ProbeTCP: {"a:1", "b:2"}, &s.Process: {"one"}, &s.ProbeDNS: {"x", "y"}, &s.ProbeHTTP: {"http://h/?a=1,2"},
	} {
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("got %q, want %q", *got, want)
		}
	}
	s = mustParse(t, nil, []string{"POOLGAUGE_PROBE_TCP=a:1, b:2,"})
	if !reflect.DeepEqual(s.ProbeTCP, []string{"a:1", "b:2"}) {
		t.Errorf("from a variable: got %q, want a:1 and b:2", s.ProbeTCP)
	}
}

// Each error is one line that names the setting as it was written, and says what was expected.
func TestBadInputYieldsOneHelpfulLine(t *testing.T) {
	key, other := selfSigned(t), selfSigned(t)
	notPEM := write(t, "x.pem", "hello")
	for name, c := range map[string]struct {
		args, environ []string
		file          string
		want          string
	}{
		"unknown flag":                 {args: []string{"--intervall", "1s"}, want: "unknown flag --intervall, did you mean --interval?"},
		"unknown flag, none similar":   {args: []string{"--nonsense"}, want: "unknown flag --nonsense; sidecar --help lists the flags"},
		"malformed duration":           {args: []string{"--interval", "ten"}, want: `--interval: expected a duration such as 10s, or a number of milliseconds, from 100ms to 24h, got "ten"`},
		"duration too short":           {environ: []string{"OTEL_METRIC_EXPORT_INTERVAL=1"}, want: `OTEL_METRIC_EXPORT_INTERVAL: expected a duration`},
		"duration too long":            {environ: []string{"OTEL_METRIC_EXPORT_INTERVAL=9223372036854775807"}, want: `OTEL_METRIC_EXPORT_INTERVAL: expected a duration`},
		"negative duration":            {args: []string{"--probe-cpu-interval=-1s"}, want: `--probe-cpu-interval: expected a duration`},
		"malformed endpoint":           {environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http//x"}, want: `OTEL_EXPORTER_OTLP_ENDPOINT: expected http://host:4317, https://host:4317, unix:///path or host:4317, got "http//x"`},
		"endpoint without host":        {args: []string{"--otlp-endpoint", "http://:4317"}, want: `--otlp-endpoint: expected http://host:4317`},
		"endpoint port":                {args: []string{"--otlp-endpoint", "http://h:99999"}, want: `--otlp-endpoint: expected http://host:4317`},
		"endpoint query":               {args: []string{"--otlp-endpoint", "http://h:1/?token=x"}, want: `--otlp-endpoint: expected http://host:4317`},
		"endpoint without a port":      {args: []string{"--otlp-endpoint", "http://h"}, want: `--otlp-endpoint: expected http://host:4317`},
		"header that gRPC cannot send": {environ: []string{"OTEL_EXPORTER_OTLP_HEADERS=a!b=c"}, want: `OTEL_EXPORTER_OTLP_HEADERS: expected key=value`},
		"header value":                 {environ: []string{"OTEL_EXPORTER_OTLP_HEADERS=a=%0A"}, want: `OTEL_EXPORTER_OTLP_HEADERS: expected key=value`},
		"not UTF-8":                    {environ: []string{"OTEL_SERVICE_NAME=\xff"}, want: `OTEL_SERVICE_NAME: expected UTF-8`},
		"attribute not UTF-8":          {environ: []string{"OTEL_RESOURCE_ATTRIBUTES=a=%ff"}, want: `OTEL_RESOURCE_ATTRIBUTES: expected key=value`},
		"probe too often":              {args: []string{"--probe-cpu-interval", "50ms"}, want: `--probe-cpu-interval: expected a duration`},
		"duplicate probe target":       {environ: []string{"POOLGAUGE_PROBE_TCP=a:1,a:1"}, want: `POOLGAUGE_PROBE_TCP: expected distinct values, got "a:1" twice`},
		"no cgroups":                   {args: []string{"--cgroup-root", "/etc"}, want: `--cgroup-root: expected a directory where cgroups are mounted`},
		"shorthand":                    {args: []string{"-otlp-headers=x"}, want: `unknown flag -o; flags begin with two dashes`},
		"file: two documents":          {file: "interval: 1s\n---\ninterval: 2s\n", want: `c.yaml: expected one YAML document`},
		"number for a boolean":         {environ: []string{"OTEL_SDK_DISABLED=1"}, want: `OTEL_SDK_DISABLED: expected true or false, got "1"`},
		"endpoint scheme":              {args: []string{"--otlp-endpoint", "ftp://h:1"}, want: `--otlp-endpoint: expected http://host:4317`},
		"protocol":                     {environ: []string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/json"}, want: `OTEL_EXPORTER_OTLP_PROTOCOL: expected grpc or http/protobuf, got "http/json"`},
		"compression":                  {args: []string{"--otlp-compression", "lz4"}, want: `--otlp-compression: expected none, gzip or zstd, got "lz4"`},
		"resource attributes":          {environ: []string{"OTEL_RESOURCE_ATTRIBUTES=a"}, want: `OTEL_RESOURCE_ATTRIBUTES: expected key=value,key=value`},
		"missing certificate":          {args: []string{"--otlp-certificate", "/no/such"}, want: `--otlp-certificate: expected a file of PEM certificates: open /no/such`},
		"not a certificate":            {environ: []string{"OTEL_EXPORTER_OTLP_CERTIFICATE=" + notPEM}, want: `OTEL_EXPORTER_OTLP_CERTIFICATE: no PEM certificates found in`},
		"certificate without key":      {args: []string{"--otlp-client-certificate", key.cert}, want: `--otlp-client-certificate and --otlp-client-key: expected both or neither`},
		"key of another certificate":   {args: []string{"--otlp-client-certificate", key.cert, "--otlp-client-key", other.key}, want: `--otlp-client-key: cannot load the client certificate`},
		"boolean":                      {environ: []string{"POOLGAUGE_HOST=maybe"}, want: `POOLGAUGE_HOST: expected true or false, got "maybe"`},
		"percentage":                   {args: []string{"--probe-budget", "0"}, want: `--probe-budget: expected a percentage above 0 and up to 100, got "0"`},
		"percentage NaN":               {args: []string{"--probe-budget", "NaN"}, want: `--probe-budget: expected a percentage`},
		"address":                      {args: []string{"--health-address", "4319"}, want: `--health-address: expected host:port or off, got "4319"`},
		"directory":                    {args: []string{"--probe-dir", "/no/such"}, want: `--probe-dir: probe directory /no/such: no such file or directory`},
		"unknown variable":             {environ: []string{"POOLGAUGE_PROBE_DIRR=/tmp"}, want: "unknown variable POOLGAUGE_PROBE_DIRR, did you mean POOLGAUGE_PROBE_DIR?"},
		"missing config":               {args: []string{"--config", "/no/such"}, want: `--config: cannot read the file`},
		"file: unknown key":            {file: "interval: 1s\nprobe-tpc: [a:1]\n", want: `c.yaml:2: unknown key "probe-tpc", did you mean "probe-tcp"?`},
		"file: unknown, none similar":  {file: "zzz: 1\n", want: `c.yaml:1: unknown key "zzz"; the keys are`},
		"file: value":                  {file: "\ninterval: ten\n", want: `c.yaml:2: interval: expected a duration such as 10s`},
		"file: duplicate key":          {file: "interval: 1s\ninterval: 2s\n", want: `c.yaml:2: duplicate key "interval", first defined on line 1`},
		"file: list for one value":     {file: "interval: [1s, 2s]\n", want: `c.yaml:1: interval: expected one value, got a list of 2`},
		"file: mapping":                {file: "interval:\n  a: 1\n", want: `c.yaml:1: interval: line 2: expected a plain value or a list of plain values`},
		"file: no value":               {file: "interval:\n", want: `c.yaml:1: interval: line 1: expected a plain value`},
		"file: not a mapping":          {file: "- a\n", want: `c.yaml:1: expected lines of the form "name: value"`},
		"file: not YAML":               {file: "a: b: c\n", want: `c.yaml: mapping values are not allowed`},
	} {
		t.Run(name, func(t *testing.T) {
			if c.file != "" {
				c.args = append(c.args, "--config", write(t, "c.yaml", c.file))
			}
			_, err := parse(c.args, c.environ)
			if err == nil {
				t.Fatal("the invalid input was accepted")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// Neither an error nor the help shows a secret.
func TestSecretsAreNotShown(t *testing.T) {
	for _, environ := range []string{
		"OTEL_EXPORTER_OTLP_HEADERS=authorization=s3cret,=s3cret",
		"OTEL_EXPORTER_OTLP_HEADERS=s3cret",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://user:s3cret@h:4317",
		"OTEL_EXPORTER_OTLP_ENDPOINT=user:s3cret@h:4317",
	} {
		_, err := parse(nil, []string{environ})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got error %v, want one without the secret", environ, err)
		}
	}
	set := pflag.NewFlagSet("sidecar", pflag.ContinueOnError)
	flags := Declare(set)
	if _, err := flags.Resolve([]string{"OTEL_EXPORTER_OTLP_HEADERS=authorization=s3cret"}); err != nil {
		t.Fatal(err)
	}
	set.VisitAll(func(flag *pflag.Flag) {
		if strings.Contains(flag.Value.String()+flag.DefValue+flag.Usage, "s3cret") {
			t.Errorf("--%s shows the secret in the help", flag.Name)
		}
	})
}

// A service called poolgauge makes Kubernetes set variables that are not settings.
func TestKubernetesVariablesAreIgnored(t *testing.T) {
	mustParse(
		t,
		nil,
		[]string{
			"POOLGAUGE_SERVICE_HOST=10.0.0.1",
			"POOLGAUGE_PORT=tcp://10.0.0.1:80",
			"POOLGAUGE_PORT_80_TCP=tcp://10.0.0.1:80",
		},
	)
}

func TestClientCertificates(t *testing.T) {
	pair := selfSigned(t)
	s := mustParse(
		t,
		[]string{
			"--otlp-certificate",
			pair.cert,
			"--otlp-client-certificate",
			pair.cert,
			"--otlp-client-key",
			pair.key,
		},
		nil,
	)
	config, err := s.TLS(otlp.Metrics)
	if err != nil || config.RootCAs == nil || len(config.Certificates) != 1 {
		t.Errorf("got %+v, error %v; want CAs and one certificate", config, err)
	}
}

type pemFiles struct{ cert, key string }

func selfSigned(t *testing.T) pemFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemFiles{
		cert: write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))),
		key:  write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))),
	}
}

// The file parser neither panics nor accepts an unknown key, and each of its errors is one line.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{"interval: 1s\n", "a: [1, 2]\n", "- x\n", "a: &x 1\nb: *x\n", "? a\n: b\n", "", "a: !!binary aGk=\n", "{a: {b: c}}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := parseFile("c.yaml", data, []string{"interval", "a"})
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		for name := range parsed.entries {
			if name != "interval" && name != "a" {
				t.Errorf("the unknown key %q was accepted", name)
			}
		}
	})
}

// No input makes a setting panic, and accepted values are within their bounds.
func FuzzValues(f *testing.F) {
	f.Add("10s", "http://h:4317", "a=b,c=%41", "127.0.0.1:1")
	f.Add("1e309h", "http://[::1", "=", ":")
	f.Fuzz(func(t *testing.T, duration, url, pairs, address string) {
		s, err := parse([]string{"--interval=" + duration}, nil)
		if err == nil && (s.Interval < 100*time.Millisecond || s.Interval > 24*time.Hour) {
			t.Errorf("--interval=%q was accepted as %v", duration, s.Interval)
		}
		if s, err := parse([]string{"--otlp-endpoint=" + url}, nil); err == nil && s.otlp.endpoint.User != nil {
			t.Errorf("the endpoint %q with a password was accepted", url)
		}
		if s, err := parse([]string{"--otlp-headers=" + pairs}, nil); err == nil {
			for name := range s.otlp.headers {
				if !isHeader(name, "") {
					t.Errorf("the header name %q in %q was accepted", name, pairs)
				}
			}
		}
		_, _ = parse([]string{"--health-address=" + address}, nil)
	})
}
