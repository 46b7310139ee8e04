package instrument

import (
	"os/exec"
	"strings"
	"testing"
)

const root = "github.com/poolgauge/poolgauge/"

func dependencies(t *testing.T, packages ...string) []string {
	t.Helper()
	args := append([]string{"list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}"}, packages...)
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(out))
}

// A program that imports pools or instrument gains the API of OpenTelemetry and what that imports itself: no SDK, no gRPC.
func TestImportsOnlyTheAPI(t *testing.T) {
	allowed := map[string]bool{root + "instrument": true}
	for _, name := range []string{"catalog", "instruments", "headroom", "slottime", "spin"} {
		allowed[root+"internal/"+name] = true
	}
	for _, path := range dependencies(t, "go.opentelemetry.io/otel", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/semconv/v1.43.0") {
		allowed[path] = true
	}
	for _, path := range dependencies(t, root+"instrument", root+"pools/...") {
		if !allowed[path] && !strings.HasPrefix(path, root+"pools") {
			t.Errorf("%s is among the imports", path)
		}
	}
}
