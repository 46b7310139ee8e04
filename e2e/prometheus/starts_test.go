package prometheus

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
)

// awaitPoints waits until the series of idle CPU time has at least want points since the given
// time.
func awaitPoints(t *testing.T, e *engine.Engine, since time.Time, want float64) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		window := time.Since(since)
		v, err := e.Instant(
			t.Context(),
			fmt.Sprintf(
				`max(count_over_time(system_cpu_time_seconds_total{cpu_mode="idle"}[%dms]))`,
				max(1, window.Milliseconds()),
			),
			time.Now(),
		)
		if err != nil {
			t.Fatal(err)
		}
		if len(v) > 0 && v[0].F >= want {
			return
		}
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("fewer than %v points of idle CPU time arrived in %v", want, patience)
		}
	}
}

// The sidecar is started three times on a host whose counters are constant, except that iowait
// repeatedly falls and rises by a tick. Prometheus's rate() shows no spike, neither at the first
// point nor at a restart nor when iowait falls.
func TestRateHasNoSpikes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	e := startEngine(t)
	server := httptest.NewServer(e.OTLP)
	t.Cleanup(server.Close)
	host := t.TempDir()
	setIOWait := func(iowait int) {
		t.Helper()
		stat := fmt.Sprintf(
			"cpu0 30000000 7000000 11000000 190000000 %d 2900000 3700000 4300000 0 0\nbtime 1700000000\n",
			iowait,
		)
		for name, text := range map[string]string{"stat": stat, "vmstat": "pswpin 41\npswpout 43\npgfault 16700000\npgmajfault 5300\noom_kill 59\n"} {
			if err := os.WriteFile(filepath.Join(host, "new"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(host, "new"), filepath.Join(host, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	setIOWait(548282)
	binary := build(t, "../..", "./cmd/sidecar", "sidecar", "-tags", "grpcnotrace,nethttpomithttp2")
	begin := time.Now()
	for round := range 3 {
		// The counter does not fall between runs: a run cannot know what the previous one reported.
		setIOWait(548282)
		since := time.Now()
		cmd := exec.Command(
			binary,
			"--interval=200ms",
			"--probe-cpu-interval=0",
			"--probe-parallelism-interval=0",
			"--probe-disk-interval=0",
			"--health-address=off",
			"--page-address=off",
			"--relay-grpc-address=off",
			"--relay-http-address=off",
		)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), identityVariable, "HOST_PROC=" + host,
			"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL + "/api/v1/otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		}
		stop := run(t, cmd)
		for n := range 4 { // until Prometheus has several points of this run
			awaitPoints(t, e, since, float64(2*n+2))
			setIOWait(548282 - n%2)
		}
		stop()
		t.Logf("run %d took %v", round+1, time.Since(since))
	}
	for query, limit := range map[string]float64{
		`max_over_time(max(rate(system_cpu_time_seconds_total[2s]))[1m:100ms])`:                                     .1,
		`max_over_time(max(rate(system_paging_faults_total[2s]))[1m:100ms])`:                                        0,
		`max_over_time(max(rate(poolgauge_host_oom_kills_total[2s]))[1m:100ms])`:                                    0,
		`max_over_time(max(rate(process_cpu_time_seconds_total[2s]))[1m:100ms])`:                                    float64(2 * runtime.NumCPU()),
		`max_over_time(max(rate(poolgauge_pressure_stall_time_seconds_total[2s]))[1m:100ms])`:                       2,
		`max_over_time(max(rate({__name__=~"(container|poolgauge_cgroup)_cpu_time_seconds_total"}[2s]))[1m:100ms])`: float64(2 * runtime.NumCPU()),
	} {
		v, err := e.Instant(t.Context(), query, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range v {
			if s.F > limit {
				t.Errorf("%s is %v, want at most %v", query, s.F, limit)
			}
		}
		t.Logf("%s: %v", query, v)
	}
	t.Logf("the test took %v", time.Since(begin))
}
