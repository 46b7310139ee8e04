package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// The points of real SDKs arrive, whatever their default protocol, with only the variable that
// deploy/k8s sets in an app's containers.
func TestSDKsWithTheInjectedEnvironment(t *testing.T) {
	goApp := filepath.Join(t.TempDir(), "sdk")
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", goApp, "./sdk").CombinedOutput(); err != nil {
		t.Fatalf("building the Go app: %v\n%s", err, text)
	}
	script := sync.OnceValue(func() string { return javaScript(t) })
	jsCommand := func(t *testing.T) []string {
		if script() == "" {
			t.Skip("needs node, and npm to install the JavaScript SDK")
		}
		return []string{"node", script()}
	}
	goCommand := func(*testing.T) []string { return []string{goApp} }
	for name, c := range map[string]struct {
		app func(*testing.T) []string
		env []string
	}{
		"Go":                     {goCommand, nil},
		"Go, gRPC":               {goCommand, []string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}},
		"Go, http/protobuf":      {goCommand, []string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}},
		"JavaScript":             {jsCommand, nil},
		"JavaScript, gRPC":       {jsCommand, []string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}},
		"JavaScript, http/json":  {jsCommand, []string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/json"}},
		"Go, port of OTLP/HTTP":  {goCommand, []string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "port=http"}},
		"JavaScript, other port": {jsCommand, []string{"port=http"}},
	} {
		t.Run(name, func(t *testing.T) {
			app := c.app(t)
			u := newUpstream()
			upstream := u.listen(t, "127.0.0.1:0", nil)
			forGRPC, forHTTP := freeAddress(t), freeAddress(t)
			s := start(
				t,
				[]string{
					"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + upstream.Addr,
					"OTEL_RESOURCE_ATTRIBUTES=k8s.pod.name=web-7",
				},
				"--relay-grpc-address="+forGRPC,
				"--relay-http-address="+forHTTP,
			)
			s.awaitLog("sending")
			run := exec.CommandContext(t.Context(), app[0], app[1:]...)
			endpoint := forGRPC // 4317 in the manifests
			if len(c.env) > 0 && c.env[len(c.env)-1] == "port=http" {
				endpoint = forHTTP
			}
			run.Env = append(
				[]string{
					"PATH=" + os.Getenv("PATH"),
					"OTEL_METRICS_EXPORTER=otlp",
					"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + endpoint,
				},
				c.env...)
			if text, err := run.CombinedOutput(); err != nil {
				t.Fatalf("running the app: %v\n%s", err, text)
			}
			u.await(t, "the app's point", func(batches [][]otlptest.Point) bool {
				for _, batch := range batches {
					for _, p := range find(batch, "sdk.count") {
						return p.Value == 1
					}
				}
				return false
			})
		})
	}
}

// javaScript returns the app's file, next to its installed dependencies, or "" if they cannot be
// installed.
func javaScript(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"app.js", "package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join("sdk", "js", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(
		t.Context(),
		"npm",
		"ci",
		"--ignore-scripts",
		"--no-audit",
		"--no-fund",
		"--prefer-offline",
	)
	install.Dir = dir
	if text, err := install.CombinedOutput(); err != nil {
		t.Logf("npm ci: %v\n%s", err, text)
		return ""
	}
	return filepath.Join(dir, "app.js")
}
