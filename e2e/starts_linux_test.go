package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// oddHost writes the files of a fake host. Its counters are constant, except that each call to
// advance changes iowait by one tick, down and up in turn.
func oddHost(t *testing.T) (dir string, advance func()) {
	t.Helper()
	dir = t.TempDir()
	write := func(name, body string) {
		// Replace the file atomically: the sidecar may be reading it.
		if err := os.WriteFile(filepath.Join(dir, "new"), []byte(body), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	write("vmstat", "pswpin 4100000\npswpout 4300000\npgfault 16700000\npgmajfault 5300000\noom_kill 59\n")
	calls := 0
	advance = func() {
		write(
			"stat",
			fmt.Sprintf(
				"cpu0 30000000 7000000 11000000 190000000 %d 2900000 3700000 4300000 0 0\nbtime 1700000000\n",
				548282-calls%2,
			),
		)
		calls++
	}
	advance()
	return dir, advance
}

// runThrice runs the sidecar three times, each time for five batches, and calls advance after every
// batch.
func runThrice(t *testing.T, u *upstream, address string, advance func(), env ...string) {
	t.Helper()
	env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+address, "OTEL_METRIC_EXPORT_INTERVAL=100")
	n := 0
	for range 3 {
		s := start(t, env)
		for range 5 {
			n = len(u.awaitBatches(t, n+1))
			advance()
		}
		if code, _ := s.terminate(); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
	}
}

// checkDeltas checks that no delta is larger than possible in the time that it covers.
func checkDeltas(t *testing.T, batches [][]otlptest.Point) {
	t.Helper()
	seen := map[string]bool{}
	for _, batch := range batches {
		for _, p := range batch {
			if p.Temporality != metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA {
				continue
			}
			seen[p.Metric] = true
			elapsed := p.Time.Sub(p.Start).Seconds()
			limit := 1e5 * (elapsed + 1)
			switch {
			case p.Metric == "system.cpu.time":
				limit = .0101 // a tick: only iowait changes
			case strings.HasPrefix(p.Metric, "system."), p.Metric == "poolgauge.host.oom_kills":
				limit = 0
			case strings.HasPrefix(p.Metric, "go.memory."):
				limit = 1e8 // bytes
			case p.Unit == "s":
				limit = float64(4*runtime.NumCPU()) * (elapsed + 1)
			}
			if p.Value > limit || p.Value < 0 {
				t.Errorf(
					"%s %v: a delta of %v in %v is impossible",
					p.Metric,
					p.Attributes,
					p.Value,
					p.Time.Sub(p.Start).Round(time.Millisecond),
				)
			}
		}
	}
	for _, metric := range []string{"system.cpu.time", "system.paging.faults", "poolgauge.host.oom_kills", "process.cpu.time", "poolgauge.source.errors"} {
		if !seen[metric] {
			t.Errorf("no delta of %s arrived", metric)
		}
	}
}

// A Collector behind the sidecar converts its counters to deltas. Neither the first point nor a
// restart nor a fall of iowait causes a spike.
func TestNoSpikeBehindCumulativeToDelta(t *testing.T) {
	host, advance := oddHost(t)
	c := startCollectorWith(t, freeAddress(t), "", "cumulativetodelta")
	runThrice(t, &c.upstream, c.addr, advance, "HOST_PROC="+host)
	c.mu.Lock()
	defer c.mu.Unlock()
	checkDeltas(t, c.batches)
}

// The deltas that the sidecar itself sends have no spikes either.
func TestNoSpikeUnderDelta(t *testing.T) {
	host, advance := oddHost(t)
	u := newUpstream()
	r := u.listen(t, "127.0.0.1:0", nil)
	runThrice(t, u, r.Addr, advance, "HOST_PROC="+host, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta")
	u.mu.Lock()
	defer u.mu.Unlock()
	checkDeltas(t, u.batches)
}
