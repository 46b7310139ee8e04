package e2e

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// On bad input, the sidecar exits with code 2, or 1 if it is detected only at run time. The sidecar
// prints one line with the setting, the value or what was expected and, for a misspelled name, the
// nearest known one.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	missing := filepath.Join(dir, "missing.pem")
	noCert := write("no.pem", "not a certificate")
	ca := newAuthority(t, "ca")
	cert, _ := ca.issue("one")
	_, otherKey := ca.issue("other")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()

	for name, c := range map[string]struct {
		args []string
		env  string
		code int
		says []string
	}{
		"unknown flag":           {[]string{"--probe-cpu-intervall=1s"}, "", 2, []string{"--probe-cpu-intervall", "did you mean --probe-cpu-interval"}},
		"unknown command":        {[]string{"chek"}, "", 2, []string{`"chek"`, `"check"`}},
		"unknown variable":       {nil, "POOLGAUGE_PROBE_DIRR=/", 2, []string{"POOLGAUGE_PROBE_DIRR", "POOLGAUGE_PROBE_DIR"}},
		"unknown key":            {[]string{"--config", write("key.yaml", "interval: 1s\nlog-lvel: info\n")}, "", 2, []string{"key.yaml:2", "log-lvel", "log-level"}},
		"bad YAML":               {[]string{"--config", write("bad.yaml", "interval: [1s\n")}, "", 2, []string{"bad.yaml"}},
		"bad value in the file":  {[]string{"--config", write("value.yaml", "# first\ninterval: soon\n")}, "", 2, []string{"value.yaml:2", "interval", `"soon"`}},
		"missing file":           {[]string{"--config", filepath.Join(dir, "none.yaml")}, "", 2, []string{"--config", "none.yaml"}},
		"duration":               {[]string{"--interval=10x"}, "", 2, []string{"--interval", `"10x"`, "10s"}},
		"duration in a variable": {nil, "OTEL_METRIC_EXPORT_INTERVAL=soon", 2, []string{"OTEL_METRIC_EXPORT_INTERVAL", `"soon"`}},
		"interval too short":     {[]string{"--interval=1ms"}, "", 2, []string{"--interval", `"1ms"`, "100ms"}},
		"negative interval":      {[]string{"--interval=-1s"}, "", 2, []string{"--interval", `"-1s"`}},
		"endpoint":               {nil, "OTEL_EXPORTER_OTLP_ENDPOINT=ftp://host", 2, []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://host", "http://host:4317"}},
		"endpoint's port":        {nil, "OTEL_EXPORTER_OTLP_ENDPOINT=http://host:99999", 2, []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "99999"}},
		"protocol":               {nil, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json", 2, []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "grpc"}},
		"header":                 {nil, "OTEL_EXPORTER_OTLP_HEADERS=ok=1,se cret", 2, []string{"OTEL_EXPORTER_OTLP_HEADERS", "key=value", "pair 2"}},
		"header's encoding":      {nil, "OTEL_EXPORTER_OTLP_HEADERS=key=%zz", 2, []string{"OTEL_EXPORTER_OTLP_HEADERS", "percent-encoded"}},
		"compression":            {nil, "OTEL_EXPORTER_OTLP_COMPRESSION=lz4", 2, []string{"OTEL_EXPORTER_OTLP_COMPRESSION", `"lz4"`, "gzip"}},
		"temporality":            {nil, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=sometimes", 2, []string{"TEMPORALITY_PREFERENCE", `"sometimes"`, "delta"}},
		"tcp target":             {[]string{"--probe-tcp=nowhere"}, "", 2, []string{"--probe-tcp", "nowhere"}},
		"tcp target's port":      {[]string{"--probe-tcp=host:x"}, "", 2, []string{"--probe-tcp", "host:x"}},
		"http target":            {[]string{"--probe-http=file:///etc/passwd"}, "", 2, []string{"--probe-http", "file:///etc/passwd"}},
		"dns target":             {[]string{"--probe-dns=a b"}, "", 2, []string{"--probe-dns", "a b"}},
		"certificate missing":    {nil, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + missing, 2, []string{"OTEL_EXPORTER_OTLP_CERTIFICATE", missing}},
		"certificate not PEM":    {nil, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + noCert, 2, []string{"OTEL_EXPORTER_OTLP_CERTIFICATE", noCert, "PEM"}},
		"certificate, no key":    {nil, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + cert, 2, []string{"client-certificate", "client-key", "both"}},
		"key doesn't match":      {[]string{"--otlp-client-certificate=" + cert, "--otlp-client-key=" + otherKey}, "", 2, []string{"otlp-client-key"}},
		"probe directory":        {[]string{"--probe-dir=" + missing}, "", 2, []string{"--probe-dir", missing}},
		"probe budget":           {[]string{"--probe-budget=200"}, "", 2, []string{"--probe-budget", `"200"`}},
		"health address":         {[]string{"--health-address=here"}, "", 2, []string{"--health-address", `"here"`}},
		"port in use":            {[]string{"--health-address=" + taken.Addr().String()}, "", 1, []string{"health", taken.Addr().String(), "in use"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, stderr := runSidecar(t, c.env, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if strings.Count(stderr, "\n") != 1 {
				t.Errorf("want one line on standard error, got:\n%s", stderr)
			}
			for _, want := range c.says {
				if !strings.Contains(stderr, want) {
					t.Errorf("the line does not contain %q:\n%s", want, stderr)
				}
			}
			if strings.Contains(stderr, "cret") {
				t.Errorf("the line shows what may be a secret:\n%s", stderr)
			}
		})
	}
}

// The check command validates a configuration as the sidecar does at startup, without starting it.
func TestCheck(t *testing.T) {
	if code, stderr := runSidecar(
		t,
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
		"check",
	); code != 0 ||
		stderr != "" {
		t.Errorf("valid configuration: exit code %d, want 0 and no output:\n%s", code, stderr)
	}
	if code, stderr := runSidecar(
		t,
		"OTEL_EXPORTER_OTLP_ENDPOINT=gopher://x",
		"check",
	); code != 2 ||
		strings.Count(stderr, "\n") != 1 {
		t.Errorf("invalid configuration: exit code %d, want 2 and one line:\n%s", code, stderr)
	}
}

// runSidecar runs a sidecar that exits on its own, and returns its exit code and standard error.
func runSidecar(t *testing.T, env string, args ...string) (code int, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "POOLGAUGE_LOG_LEVEL=error"}
	if env != "" {
		cmd.Env = append(cmd.Env, env)
	}
	var text bytes.Buffer
	cmd.Stderr = &text
	_ = cmd.Run() // the exit code is checked below
	return cmd.ProcessState.ExitCode(), text.String()
}
