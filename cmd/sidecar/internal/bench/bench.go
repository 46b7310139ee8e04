// Package bench compares ways to run many tasks at once: one after the other, a goroutine each,
// pools of several sizes, a semaphore, batches; with work that computes, waits, or both.
package bench

import (
	"time"

	"github.com/poolgauge/poolgauge/internal/throttle"
)

// Options are the settings of a run.
type Options struct {
	Works  []Work
	Rounds int           // how often each row is measured, unless Budget ends before
	Window time.Duration // of one measurement, about
	Budget time.Duration // of the run, about: each row is measured once, whatever that takes
	Max    int           // the largest size of a pool
	Seed   uint64        // of the order within a round

	// Progress, where it is set, is called before each measurement with the time that the whole run
	// still takes, about.
	Progress func(what string, left time.Duration)

	read func() throttle.Reading // of the quota; nil: of this process
}

// Report is the result of a run, and what --json prints.
type Report struct {
	CPUs  int     `json:"cpus"`                 // that Go uses at once (GOMAXPROCS)
	Quota float64 `json:"quota_cpus,omitempty"` // of the control groups; absent without one
	// spread between rounds of one and the same computation, relative; 0 after one
	Noise       float64      `json:"machine_noise"`
	Interrupted bool         `json:"interrupted,omitempty"` // from outside, before all rounds
	Seconds     float64      `json:"seconds"`               // that the run took
	Works       []WorkReport `json:"works"`
}

// WorkReport is what was measured with one kind of work.
type WorkReport struct {
	Name string `json:"name"`
	What string `json:"what"`
	Rows []Row  `json:"rows"`

	// Throttled is the part of the quota's periods in which it stopped the process.
	Throttled float64 `json:"throttled"`

	Best   string `json:"best,omitempty"`      // the recommended model
	Size   int    `json:"best_size,omitempty"` // its size, 0 if it has none
	Advice string `json:"advice"`
	Error  string `json:"error,omitempty"`
}

// Row is what one model did: medians over the rounds.
type Row struct {
	Model   string  `json:"model"`
	Size    int     `json:"size,omitempty"`
	Rate    float64 `json:"tasks_per_second"`
	Spread  float64 `json:"spread"`   // half the distance of the quartiles, relative to Rate
	SpeedUp float64 `json:"speed_up"` // over sequential
	P50     float64 `json:"p50_seconds"`
	P99     float64 `json:"p99_seconds"`
	CPU     float64 `json:"cpu_seconds_per_task,omitempty"` // absent where it is not known
	CPUs    float64 `json:"cpus_used,omitempty"`
	Allocs  float64 `json:"allocations_per_task"`
	Memory  uint64  `json:"memory_bytes"` // that heap and stacks grew by, at most
	Rounds  int     `json:"rounds"`
	model   Model
	runs    []run
	calm    float64 // tasks per second in the better half of the rounds
}

func (r *Row) rates() []float64 {
	rates := make([]float64, len(r.runs))
	for i, one := range r.runs {
		rates[i] = one.rate
	}
	return rates
}

// rate is the median so far.
func (r *Row) rate() float64 { return median(r.rates()) }

func (r *Row) summarize() {
	of := func(f func(run) float64) float64 {
		values := make([]float64, len(r.runs))
		for i, one := range r.runs {
			values[i] = f(one)
		}
		return median(values)
	}
	r.Rounds = len(r.runs)
	r.Rate, r.Spread, r.calm = r.rate(), spread(r.rates()), upperHalf(r.rates())
	r.P50 = of(func(x run) float64 { return x.p50.Seconds() })
	r.P99 = of(func(x run) float64 { return x.p99.Seconds() })
	r.Allocs = of(func(x run) float64 { return x.allocs })
	r.Memory = uint64(of(func(x run) float64 { return float64(x.memory) }))
	if r.runs[0].cpuKnown {
		r.CPU = of(func(x run) float64 { return x.cpu.Seconds() })
		r.CPUs = of(func(x run) float64 { return x.cpus })
	}
}
