package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/poolgauge/poolgauge/diagnose"
)

const (
	window          = 10.0 // seconds
	healthyReports  = 7    // number of reports before the fault starts
	settlingWindows = 3    // number of windows after the start of the fault that are not scored
	scoredWindows   = 9    // number of windows that are scored
	maxWindows      = 60   // maximum number of windows until the fault has developed
)

// label holds the right answers for a run.
type label struct {
	File    string   `json:"file"`
	Fault   string   `json:"fault"`
	Healthy bool     `json:"healthy"`
	There   int      `json:"there"`  // index of the first line with the fault
	Scored  int      `json:"scored"` // index of the first scored line
	Pool    []string `json:"pool"`   // right verdicts, the best one first
	Host    string   `json:"host"`
}

// run holds the reports and the label of one simulated program.
type run struct {
	label
	requests []*message
}

func names() (all []string) {
	for _, f := range faults {
		all = append(all, f.name)
	}
	return all
}

// simulate runs the given number of programs with each fault or, if the string only is not empty,
// with the fault of that name.
func simulate(seed uint64, programs int, only string) (runs []*run) {
	jobs := make(chan func())
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for job := range jobs {
				job()
			}
		})
	}
	for i := range faults {
		if only != "" && faults[i].name != only {
			continue
		}
		for n := range programs {
			r := &run{label: faults[i].label(n)}
			runs = append(runs, r)
			jobs <- func() { r.simulate(&faults[i], rand.New(rand.NewPCG(seed, uint64(1000*i+n)))) }
		}
	}
	close(jobs)
	wg.Wait()
	return runs
}

func (f *fault) label(n int) label {
	name := strings.Map(func(r rune) rune {
		if r == ' ' || r == ':' || r == ',' {
			return '-'
		}
		return r
	}, f.name)
	l := label{File: fmt.Sprintf("%s-%d.jsonl", name, n), Fault: f.name, Healthy: f.healthy(), Host: f.host.String()}
	for _, v := range f.right {
		l.Pool = append(l.Pool, v.String())
	}
	return l
}

func (r *run) simulate(f *fault, rng *rand.Rand) {
	a, between := healthy(rng)
	if strings.HasPrefix(f.name, semaphorePrefix) {
		a.kind = semaphore
	}
	if f.healthy() { // the variation is present from the start
		f.inject(a, between)
	}
	r.There, r.Scored = healthyReports, healthyReports+settlingWindows
	developed := f.developed == nil
	for n := 0; ; n++ {
		if n == r.Scored+scoredWindows { // r.Scored moves until the fault has developed
			return
		}
		if n == healthyReports && !f.healthy() {
			f.inject(a, between)
		}
		a.run(window)
		r.requests = append(r.requests, a.export())
		if n >= healthyReports && !developed && n < maxWindows {
			developed = f.developed(a)
			r.There, r.Scored = n+1, n+1+settlingWindows
		}
	}
}

const labelsFile = "labels.json"

func writeRuns(dir string, runs []*run) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var labels []label
	for _, r := range runs {
		labels = append(labels, r.label)
		if err := r.write(filepath.Join(dir, r.File)); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(labels, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, labelsFile), append(data, '\n'), 0o644)
}

func (r *run) write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeLines(f, r.requests); err != nil {
		return err
	}
	return f.Close()
}

func readRuns(dir string) (runs []*run, err error) {
	data, err := os.ReadFile(filepath.Join(dir, labelsFile))
	if err != nil {
		return nil, err
	}
	var labels []label
	if err := json.Unmarshal(data, &labels); err != nil {
		return nil, fmt.Errorf("%s: %w", labelsFile, err)
	}
	for _, l := range labels {
		r := &run{label: l}
		if err := r.read(filepath.Join(dir, l.File)); err != nil {
			return nil, fmt.Errorf("%s: %w", l.File, err)
		}
		runs = append(runs, r)
	}
	return runs, nil
}

func (r *run) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return eachLine(f, func(q *message) error {
		r.requests = append(r.requests, q)
		return nil
	})
}

// showMistakes prints each window that was misjudged, with its metrics.
func showMistakes(out io.Writer, runs []*run) {
	for _, r := range runs {
		var j judge
		var last values
		for n, q := range r.requests {
			v := valuesOf(q)
			_, host := j.host.See(v.host())
			holds, one := j.pool.See(v.pool(), j.host.Machine())
			hostWrong := host.Verdict.String() != r.Host && n >= r.Scored
			right := slices.Contains(r.Pool, one.Verdict.String()) && slices.Contains(r.Pool, holds.Verdict.String())
			if n > 0 && (n >= r.Scored && !right || hostWrong || r.Healthy && one.Verdict.Convicts()) {
				fmt.Fprintf(
					out,
					"%s line %d: holds %s; window %s: %s; host %s: %s\n\t%+v\n\t%+v\n",
					r.File,
					n,
					holds.Verdict,
					one.Verdict,
					one.Evidence,
					host.Verdict,
					host.Evidence,
					diagnose.Between(last.pool(), v.pool()),
					j.host.Machine(),
				)
			}
			last = v
		}
	}
}
