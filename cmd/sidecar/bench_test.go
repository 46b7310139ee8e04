package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/bench"
)

// runBench runs sidecar bench with as few and as short measurements as possible.
func runBench(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	quick := []string{"bench", "--rounds=1", "--window=1ms", "--max=4"}
	code = run(ctx, append(quick, args...), nil, &out, &errs)
	return code, out.String(), errs.String()
}

func TestBenchPrintsTextOrJSON(t *testing.T) {
	code, stdout, stderr := runBench(t.Context(), "--work=cpu,file", "--dir="+t.TempDir())
	if code != 0 || stderr != "" || !strings.Contains(stdout, "workers × 4") || !strings.Contains(stdout, "\nfile: ") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = runBench(t.Context(), "--work=mixed", "--json")
	var report bench.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != 0 || stderr != "" {
		t.Fatalf("exit code %d, stderr %q, error %v, stdout:\n%s", code, stderr, err, stdout)
	}
	if len(report.Works) != 1 || report.Works[0].Name != "mixed" || len(report.Works[0].Rows) != 6 {
		t.Errorf("got %+v, want only the work mixed with six rows", report)
	}
}

func TestBenchMeasuresURLsAndAddresses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	code, stdout, stderr := runBench(t.Context(), "--url="+server.URL, "--tcp="+address)
	if code != 0 || stderr != "" || !strings.Contains(stdout, server.URL+": GET") ||
		!strings.Contains(stdout, address+": connect and close") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, stdout, _ := runBench(t.Context(), "--tcp="+closed); !strings.Contains(stdout, "refused") {
		t.Errorf("stdout does not say that a closed port refused the connection:\n%s", stdout)
	}
}

func TestBenchSweepsAndWritesPlots(t *testing.T) {
	dir := t.TempDir()
	code, stdout, stderr := execute("bench", "--max=4", "--work=cpu", "--sweep", "--budget=300ms", "--plot="+dir)
	if code != 0 || stderr != "" || !strings.Contains(stdout, "tasks/s") || !strings.Contains(stdout, "◀") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("bench wrote %v, error %v; want three plots", files, err)
	}
}

func TestInterruptedBenchPrintsPartialResults(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, stdout, stderr := runBench(ctx, "--work=cpu")
	if code != exitFailed || !strings.Contains(stdout, "Interrupted") || !strings.Contains(stderr, "interrupted") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
}

func TestBenchRejectsBadUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--work=disk":  "expected cpu, file, http or mixed",
		"--rounds=0":   "--rounds=0",
		"--window=-1s": "--window=-1s",
		"--max=1":      "--max=1",
		"more":         "takes no arguments",
		"--plots=x":    "--plot",
	} {
		code, stdout, stderr := runBench(t.Context(), args)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, want %q", args, code, stdout, stderr, want)
		}
	}
}
