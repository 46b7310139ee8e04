package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// goodRun is a run in which every bar is just met.
func goodRun() []*result {
	of := func(family, setting string, synced bool, rate float64) *result {
		r := &result{contender: contender{family: family, setting: setting, synced: synced}, throughput: map[int]*throughput{}}
		for _, size := range sizes {
			r.throughput[size] = &throughput{forwarded: []float64{rate}}
		}
		r.memory = memory{idle: []float64{20}, after: []float64{20}, peak: []float64{30}, rate: []float64{99_000}}
		r.latency.p99 = []time.Duration{6 * time.Millisecond}
		return r
	}
	alone := of(bare, "", false, 0)
	alone.latency.p99 = []time.Duration{time.Millisecond}
	return []*result{
		alone, of(sidecar, "default", false, 120_000), of(sidecar, "--queue-sync 0", true, 100_000),
		of(collector, "default", false, 40_000), of(collector, "batch", false, 60_000), of(collector, "fsync", true, 10_000),
	}
}

func TestBars(t *testing.T) {
	for name, worsen := range map[string]func(ours, synced, peer *result){
		"":                                func(_, _, _ *result) {},
		"default, requests of 100":        func(_, _, peer *result) { peer.throughput[100].forwarded[0] = 61_000 },
		"default, requests of 10:":        func(ours, _, _ *result) { ours.throughput[10].forwarded[0] = 119_000 },
		"--queue-sync 0, requests of 10:": func(_, synced, _ *result) { synced.throughput[10].forwarded[0] = 99_000 },
		"points/s while memory":           func(ours, _, _ *result) { ours.memory.rate[0] = 98_000 },
		"peak RSS":                        func(ours, _, _ *result) { ours.memory.peak[0] = 30.5 },
		"RSS idle, ":                      func(ours, _, _ *result) { ours.memory.idle[0] = 20.5 },
		"RSS idle after":                  func(ours, _, _ *result) { ours.memory.after[0] = 20.5 },
		"added p99 of an acknowledgement": func(ours, _, _ *result) { ours.latency.p99[0] += time.Microsecond },
	} {
		t.Run(name, func(t *testing.T) {
			results := goodRun()
			worsen(results[1], results[2], results[4])
			var out bytes.Buffer
			if met := printBars(&out, judge(results)); met != (name == "") {
				t.Errorf("all met: %v\n%s", met, out.String())
			}
			for line := range strings.Lines(out.String()) {
				if missed := strings.Contains(line, "missed"); missed != (name != "" && strings.Contains(line, name)) {
					t.Errorf("wrong verdict: %s", line)
				}
			}
		})
	}
}

func TestRequestHasItsPoints(t *testing.T) {
	for _, size := range sizes {
		if n, err := otlp.Inspect(otlp.Metrics, newRequest(size)); err != nil || n != int64(size) {
			t.Errorf("a request of %d points has %d, %v", size, n, err)
		}
	}
}
