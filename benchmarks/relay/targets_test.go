package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// goodRun returns a run in which every target is just met.
func goodRun() []*result {
	newResult := func(family, setting string, synced bool, rate float64) *result {
		r := &result{
			contender:  contender{family: family, setting: setting, synced: synced},
			throughput: map[form]*throughput{},
		}
		for _, f := range forms {
			r.throughput[f] = &throughput{forwarded: []float64{rate}, cpu: []float64{4}}
		}
		if family == sidecar {
			r.throughput[forms[0]].cpu[0] = 1
		}
		r.memory = memory{idle: []float64{20}, after: []float64{20}, peak: []float64{30}, rate: []float64{99_000}}
		r.latency.added = []time.Duration{5 * time.Millisecond}
		return r
	}
	return []*result{
		newResult(bare, "", false, 0),
		newResult(sidecar, "default", false, 120_000),
		newResult(sidecar, "--queue-sync 0", true, 100_000),
		newResult(
			collector,
			"default",
			false,
			40_000,
		),
		newResult(collector, "batch", false, 60_000),
		newResult(collector, "fsync", true, 10_000),
	}
}

func TestTargets(t *testing.T) {
	for name, worsen := range map[string]func(ours, synced, peer *result){
		"":                                     func(_, _, _ *result) {},
		"default, gRPC requests of 100":        func(_, _, peer *result) { peer.throughput[form{100, false}].forwarded[0] = 61_000 },
		"default, gRPC requests of 10:":        func(ours, _, _ *result) { ours.throughput[form{10, false}].forwarded[0] = 119_000 },
		"--queue-sync 0, gRPC requests of 10:": func(_, synced, _ *result) { synced.throughput[form{10, false}].forwarded[0] = 99_000 },
		"gRPC requests of 100: CPU":            func(ours, _, _ *result) { ours.throughput[form{100, false}].cpu[0] = 1.1 },
		"JSON requests of 10000: CPU":          func(ours, _, _ *result) { ours.throughput[form{10_000, true}].cpu[0] = 4.1 },
		"points/s while memory":                func(ours, _, _ *result) { ours.memory.rate[0] = 98_000 },
		"peak RSS":                             func(ours, _, _ *result) { ours.memory.peak[0] = 30.5 },
		"RSS idle, ":                           func(ours, _, _ *result) { ours.memory.idle[0] = 20.5 },
		"RSS idle after":                       func(ours, _, _ *result) { ours.memory.after[0] = 20.5 },
		"added p99 of an acknowledgement":      func(ours, _, _ *result) { ours.latency.added[0] += time.Microsecond },
	} {
		t.Run(name, func(t *testing.T) {
			results := goodRun()
			worsen(results[1], results[2], results[4])
			var out bytes.Buffer
			if met := printTargets(&out, checkTargets(results)); met != (name == "") {
				t.Errorf("printTargets reports that all targets are met: %v\n%s", met, out.String())
			}
			for line := range strings.Lines(out.String()) {
				if missed := strings.Contains(line, "missed"); missed != (name != "" && strings.Contains(line, name)) {
					t.Errorf("wrong verdict: %s", line)
				}
			}
		})
	}
}

func TestRequestHasTheGivenNumberOfPoints(t *testing.T) {
	for _, f := range forms {
		if n, err := otlp.Inspect(otlp.Metrics, newRequest(f.size)); err != nil || n != int64(f.size) {
			t.Errorf("newRequest(%d): Inspect found %d points, error %v", f.size, n, err)
		}
	}
}
