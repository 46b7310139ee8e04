package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// sample returns a run in which every target is just met.
func sample() []*result {
	newResult := func(family string, binary, rss, cpu float64, first time.Duration) *result {
		return &result{
			contender: contender{
				family: family,
			},
			binaryMB:    binary,
			rss:         []float64{rss, rss - 1, rss},
			anon:        []float64{1},
			cpu:         cpu,
			first:       []time.Duration{first},
			cpuOfStarts: time.Millisecond,
		}
	}
	return []*result{
		newResult(
			sidecar,
			13,
			11,
			0.35,
			300*time.Millisecond,
		),
		newResult(sidecar, 13, 11, 0.08, 300*time.Millisecond),
		newResult(sidecar, 13, 11, 0.08, 300*time.Millisecond),
		newResult(bare, 11, 10, 0.05, time.Second),
		newResult(collector, 26, 25, 0.1, time.Second),
		newResult(collector, 26, 20, 0.2, time.Second),
	}
}

func TestEachTargetIsCheckedAgainstItsLimit(t *testing.T) {
	for name, worsen := range map[string]func([]*result){
		"":               func([]*result) {},
		"RSS at most 18": func(r []*result) { r[0].rss[0] = 18.5 },
		// this Collector now uses the least memory
		"0.55 ×":              func(r []*result) { r[5].rss = []float64{19, 19, 19} },
		"CPU without probes":  func(r []*result) { r[1].cpu = 0.081 },
		"Collector's sources": func(r []*result) { r[2].cpu = 0.081 },
		"default probes":      func(r []*result) { r[0].cpu = 0.39 },
		"binary":              func(r []*result) { r[0].binaryMB = 13.1 },
		"first point":         func(r []*result) { r[0].first[0] = 301 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			results := sample()
			worsen(results)
			var out bytes.Buffer
			if met := printTargets(&out, checkTargets(results)); met != (name == "") {
				t.Errorf("printTargets reports that all targets are met: %v\n%s", met, out.String())
			}
			for line := range strings.Lines(out.String()) {
				if missed := strings.Contains(line, "not met"); missed != (name != "" && strings.Contains(line, name)) {
					t.Errorf("wrong verdict: %s", line)
				}
			}
		})
	}
}

func TestRatiosAreToTheBestConfiguration(t *testing.T) {
	var out bytes.Buffer
	printTable(&out, sample())
	tables := strings.Split(out.String(), "Ratios to")
	for i, want := range []string{"| 11.0 |", "| 0.55 |", "| 1.10 |"} { // ratios to 20 and to 10
		if i >= len(tables) || !strings.Contains(tables[i], want) {
			t.Errorf("no %q in table %d of\n%s", want, i, out.String())
		}
	}
}
