// Package bench compares models of running many tasks that compute, wait or do both: one after the
// other, with a goroutine for each, in pools of several sizes, behind a semaphore, and in batches.
package bench

import (
	"time"

	"github.com/poolgauge/poolgauge/internal/throttle"
)

// Options are the settings of a run.
type Options struct {
	Works  []Work
	Rounds int           // maximum number of measurements of each row
	Window time.Duration // approximate length of one measurement
	Budget time.Duration // approximate time limit; every row is still measured at least once
	Max    int           // number of workers in the largest pool
	Seed   uint64        // determines the order of measurements within a round

	// CgroupRoot is where cgroups are mounted, if not at /sys/fs/cgroup.
	CgroupRoot string

	// Progress, if not nil, is called before each measurement with an estimate of the time left in
	// the run.
	Progress func(what string, left time.Duration)

	readQuota func() throttle.Reading // nil means reading the quota of this process
}

// Report is the result of a run. With --json it is printed as JSON.
type Report struct {
	CPUs        int          `json:"cpus"`                 // GOMAXPROCS
	Quota       float64      `json:"quota_cpus,omitempty"` // absent without a quota
	Noise       float64      `json:"machine_noise"`        // relative spread of a fixed computation's time
	Interrupted bool         `json:"interrupted,omitempty"`
	Seconds     float64      `json:"seconds"` // duration of the run
	Works       []WorkReport `json:"works"`
}

// WorkReport is the result for one kind of work.
type WorkReport struct {
	Name string `json:"name"`
	What string `json:"what"`
	Rows []Row  `json:"rows"`

	// Throttled is the share of the quota's periods in which the process was throttled.
	Throttled float64 `json:"throttled"`

	Best   string `json:"best,omitempty"`      // the recommended model
	Size   int    `json:"best_size,omitempty"` // the model's size, or 0 if it has none
	Advice string `json:"advice"`
	Error  string `json:"error,omitempty"`
}

// Row is the result of one model: medians over the rounds.
type Row struct {
	Model   string  `json:"model"`
	Size    int     `json:"size,omitempty"`
	Rate    float64 `json:"tasks_per_second"`
	Spread  float64 `json:"spread"`   // half the interquartile range, relative to Rate
	SpeedUp float64 `json:"speed_up"` // relative to sequential runs of the same round
	P50     float64 `json:"p50_seconds"`
	P99     float64 `json:"p99_seconds"`
	CPU     float64 `json:"cpu_seconds_per_task,omitempty"` // absent if unknown
	CPUs    float64 `json:"cpus_used,omitempty"`
	Allocs  float64 `json:"allocations_per_task"`
	Memory  uint64  `json:"memory_bytes"` // peak growth of heap and stacks
	Rounds  int     `json:"rounds"`
	model   Model
	runs    []run // by round
}

func (r *Row) rates() []float64 {
	rates := make([]float64, len(r.runs))
	for i := range r.runs {
		rates[i] = r.runs[i].rate
	}
	return rates
}

// rate returns the median throughput of the rounds so far.
func (r *Row) rate() float64 { return median(r.rates()) }

func (r *Row) summarize() {
	medianOf := func(f func(run) float64) float64 {
		values := make([]float64, len(r.runs))
		for i := range r.runs {
			values[i] = f(r.runs[i])
		}
		return median(values)
	}
	r.Rounds = len(r.runs)
	r.Rate, r.Spread = r.rate(), spread(r.rates())
	r.P50 = medianOf(func(x run) float64 { return x.p50.Seconds() })
	r.P99 = medianOf(func(x run) float64 { return x.p99.Seconds() })
	r.Allocs = medianOf(func(x run) float64 { return x.allocs })
	r.Memory = uint64(medianOf(func(x run) float64 { return float64(x.memory) }))
	if r.runs[0].cpuKnown {
		r.CPU = medianOf(func(x run) float64 { return x.cpu.Seconds() })
		r.CPUs = medianOf(func(x run) float64 { return x.cpus })
	}
}
