package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// As in the README, the example runs next to a sidecar without an upstream. Its pools appear on the
// page and in the summary that the sidecar prints.
func TestExampleNextToASidecar(t *testing.T) {
	orders := filepath.Join(t.TempDir(), "orders")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", orders, ".")
	build.Dir = "../examples/orders"
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building examples/orders: %v\n%s", err, text)
	}
	relay, page := freeAddress(t), freeAddress(t)
	summary := runSummary(t, "--interval=1s", "--relay-grpc-address="+relay, "--page-address="+page)

	app := exec.CommandContext(
		t.Context(),
		orders,
		"serve",
		"-listen=127.0.0.1:0",
		"-sqlite="+filepath.Join(t.TempDir(), "orders.db"),
	)
	app.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"OTEL_METRIC_EXPORT_INTERVAL=1000",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + relay,
	}
	stdout, err := app.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	run(t, app)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, rest, found := strings.Cut(line, "serving ")
	if target, _, ok := strings.Cut(rest, ","); found && ok {
		run(t, exec.CommandContext(t.Context(), orders, "load", "-target="+target, "-rate=20", "-duration=1m"))
	} else {
		t.Fatalf("the service printed %q (%v), want its address", line, err)
	}
	begin := time.Now()
	want := []string{"orders", "orders-db", "orders-http", "payments", "payments-http", "receipt-printers"}
	if names := awaitPools(t, "http://"+page+"/api/v1/picture", len(want)); !slices.Equal(names, want) {
		t.Errorf("the page shows %v, want %v", names, want)
	}
	t.Logf("all pools appeared after %v, with export intervals of 1s", time.Since(begin))
	want[len(want)-1] = "receipt-prin" // truncated to fit 80 columns
	summary.await(t, want...)
}

// run starts a program, which is interrupted when the test ends.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // before any cleanup
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
}

// awaitPools waits until the picture has n pools, and returns their sorted names.
func awaitPools(t *testing.T, url string, n int) (names []string) {
	t.Helper()
	for deadline := time.After(patience); ; {
		var picture struct{ Pools []struct{ Name string } }
		if answer, err := http.Get(url); err == nil {
			err = json.NewDecoder(answer.Body).Decode(&picture)
			_ = answer.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
		names = names[:0]
		for _, p := range picture.Pools {
			names = append(names, p.Name)
		}
		slices.Sort(names)
		if len(names) >= n {
			return names
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("/api/v1/picture has the pools %v, want %d", names, n)
		}
	}
}

// summaryOutput holds the output of a sidecar that shows its summary.
type summaryOutput struct {
	mu      sync.Mutex // guards the fields below
	text    bytes.Buffer
	changed chan struct{} // closed and replaced when a line is added
}

// runSummary runs a sidecar that shows its summary until the test ends.
func runSummary(t *testing.T, args ...string) *summaryOutput {
	t.Helper()
	cmd := exec.Command(binary, append(slices.Clone(quiet), args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "GORACE=atexit_sleep_ms=0"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s, done := &summaryOutput{changed: make(chan struct{})}, make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.mu.Lock()
			s.text.WriteString(lines.Text() + "\n")
			close(s.changed)
			s.changed = make(chan struct{})
			s.mu.Unlock()
		}
		_ = cmd.Wait() // it was killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	return s
}

// await waits until all of the words have been printed.
func (s *summaryOutput) await(t *testing.T, words ...string) {
	t.Helper()
	for deadline := time.After(patience); ; {
		s.mu.Lock()
		text, changed := s.text.String(), s.changed
		s.mu.Unlock()
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the summary does not contain all of %v:\n%s", words, text)
		}
	}
}
