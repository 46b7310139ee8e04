package instrument

import (
	"os/exec"
	"strings"
	"testing"
)

const root = "github.com/poolgauge/poolgauge/"

// dependencies returns the import paths of the given packages and of everything that they import,
// without the standard library.
func dependencies(t *testing.T, packages ...string) []string {
	t.Helper()
	args := append([]string{"list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}"}, packages...)
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(out))
}

// A program that imports pools or instrument also imports the API of OpenTelemetry and its
// dependencies, but no SDK and no gRPC.
func TestImportsOnlyTheAPI(t *testing.T) {
	allowed := map[string]bool{root + "instrument": true, root + "diagnose": true}
	for _, name := range []string{"callsite", "catalog", "instruments", "headroom", "kernfile", "lineage", "measure", "ownfigures", "thread", "throttle"} {
		allowed[root+"internal/"+name] = true
	}
	for _, path := range dependencies(t, "go.opentelemetry.io/otel", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/semconv/v1.43.0") {
		allowed[path] = true
	}
	for _, path := range dependencies(t, root+"instrument", root+"pools/...") {
		if !allowed[path] && !strings.HasPrefix(path, root+"pools") {
			t.Errorf("instrument or pools imports %s", path)
		}
	}
	for _, path := range dependencies(t, root+"instrument/wrap") {
		if !allowed[path] && path != root+"instrument/wrap" && !strings.HasPrefix(path, "golang.org/x/sync/") {
			t.Errorf("instrument/wrap imports %s", path)
		}
	}
}

// Package producer imports the SDK but no exporter. Neither producer nor telemetry imports our
// pools, except for package sizing, whose arithmetic verdicts need.
func TestOnlyTelemetryImportsExporters(t *testing.T) {
	for _, path := range dependencies(t, root+"instrument/producer") {
		for _, exporter := range []string{"google.golang.org/", "go.opentelemetry.io/proto/", "go.opentelemetry.io/otel/exporters/", root + "pools"} {
			if strings.HasPrefix(path, exporter) && path != root+"pools/sizing" {
				t.Errorf("instrument/producer imports %s", path)
			}
		}
	}
	for _, path := range dependencies(t, root+"instrument/telemetry") {
		for _, other := range []string{"pools", "collector", "cmd"} {
			if strings.HasPrefix(path, root+other) && path != root+"pools/sizing" {
				t.Errorf("instrument/telemetry imports %s", path)
			}
		}
	}
}

// Neither pools nor instrument imports database/sql or net/http, which only the wrappers need. For
// net/http the test covers only our own packages, since OpenTelemetry's API imports it for
// propagation.HeaderCarrier.
func TestImportsNeitherHTTPNorSQL(t *testing.T) {
	const imports = `{{$path := .ImportPath}}{{range .Imports}}{{$path}} {{.}}{{"\n"}}{{end}}`
	out, err := exec.Command("go", "list", "-deps", "-f", imports, root+"instrument", root+"pools/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		path, imported, _ := strings.Cut(strings.TrimSpace(line), " ")
		if imported == "database/sql" || imported == "net/http" && strings.HasPrefix(path, root) {
			t.Errorf("%s imports %s", path, imported)
		}
	}
}
