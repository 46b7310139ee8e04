// Package bench compares ways to run many tasks at once: one after the other, a goroutine each, pools
// of several sizes, a semaphore, batches; with work that computes, waits, or both.
package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/internal/throttle"
)

// Options are the settings of a run.
type Options struct {
	Works  []Work
	Rounds int           // how often each row is measured
	Window time.Duration // of one measurement, about
	Max    int           // the largest size of a pool
	Seed   uint64        // of the order within a round

	// Progress, where it is set, is called before each measurement with the time that the whole run
	// still takes, about.
	Progress func(what string, left time.Duration)
}

// Report is the result of a run, and what --json prints.
type Report struct {
	CPUs        int          `json:"cpus"`                  // that Go uses at once (GOMAXPROCS)
	Quota       float64      `json:"quota_cpus,omitempty"`  // of the control groups; absent without one
	Noise       float64      `json:"machine_noise"`         // spread of one and the same computation, relative
	Interrupted bool         `json:"interrupted,omitempty"` // the run was ended before all rounds
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
	tasks   int
	calm    float64 // tasks per second in the better half of the rounds
}

// Run measures all works. When ctx ends it returns what is known so far.
func Run(ctx context.Context, o Options) Report {
	began := time.Now()
	report := Report{CPUs: runtime.GOMAXPROCS(0)}
	b := &runner{Options: o, rng: rand.New(rand.NewPCG(o.Seed, 16)), began: began}
	for i, work := range o.Works {
		if ctx.Err() != nil {
			break
		}
		b.index = i
		report.Works = append(report.Works, b.work(ctx, work))
	}
	report.Interrupted = ctx.Err() != nil
	report.Noise = spread(b.reference)
	report.Quota = b.quota
	report.Seconds = time.Since(began).Seconds()
	return report
}

type runner struct {
	Options
	rng       *rand.Rand
	began     time.Time
	index     int
	quota     float64
	reference []float64
}

// models are the rows of the table.
func (b *runner) models(w Work) []Model {
	all := []Model{{Sequential, 1}}
	if !w.bounded {
		all = append(all, Model{Goroutines, 0})
	}
	for n := 2; n <= b.Max; n *= 2 {
		all = append(all, Model{Workers, n})
	}
	middle := min(b.Max, 8*runtime.GOMAXPROCS(0))
	return append(all, Model{Semaphore, middle}, Model{Batches, middle})
}

func (b *runner) work(ctx context.Context, w Work) (report WorkReport) {
	report = WorkReport{Name: w.Name, What: w.What}
	t, done, err := w.prepare(ctx)
	if err != nil {
		report.Error = err.Error()
		report.Advice = "Nothing was measured."
		return report
	}
	defer done()
	before := throttle.Read()
	rows, err := b.rows(ctx, w, t)
	if stops, ok := throttle.Read().Since(before); ok {
		b.quota = stops.Quota
		report.Throttled = float64(stops.Throttled) / float64(max(1, stops.Periods))
	}
	if err != nil && ctx.Err() == nil {
		report.Error = err.Error()
	}
	for _, r := range rows {
		if len(r.runs) > 0 {
			r.summarize()
			report.Rows = append(report.Rows, *r)
		}
	}
	report.conclude(b.quota)
	return report
}

// rows measures every model in each round, in another order each time, so that a change of the
// machine meets all of them.
func (b *runner) rows(ctx context.Context, w Work, t task) ([]*Row, error) {
	var rows []*Row
	for _, m := range b.models(w) {
		rows = append(rows, &Row{Model: m.Kind, Size: m.Size, model: m})
	}
	order := slices.Clone(rows)
	for round := range b.Rounds {
		b.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for i, r := range order {
			b.progress(w, round, i, len(order), r)
			b.disturbance()
			if err := b.one(ctx, r, t); err != nil {
				return rows, fmt.Errorf("%s: %w", r.model, err)
			}
		}
	}
	return rows, nil
}

func (b *runner) progress(w Work, round, row, rows int, r *Row) {
	if b.Progress == nil {
		return
	}
	part := (float64(b.index) + (float64(round)+float64(row)/float64(rows))/float64(b.Rounds)) / float64(len(b.Works))
	each := 1.3 * float64(len(b.Works)*b.Rounds*rows) * b.Window.Seconds()
	if elapsed := time.Since(b.began).Seconds(); part > 0.1 {
		each = elapsed / part
	}
	left := time.Duration((1 - part) * each * float64(time.Second))
	b.Progress(fmt.Sprintf("%s, round %d of %d, %s", w.Name, round+1, b.Rounds, r.model), left)
}

// disturbance times a computation that is always the same: its spread is the noise of the machine.
func (b *runner) disturbance() {
	begin := time.Now()
	hash(2000)
	b.reference = append(b.reference, time.Since(begin).Seconds())
}

// minTasks is so many for each slot that the ends of a run, when not all are in use, count little.
const minTasks = 8

func (b *runner) one(ctx context.Context, r *Row, t task) error {
	if r.tasks == 0 {
		if err := b.calibrate(ctx, r, t); err != nil {
			return err
		}
	}
	runtime.GC() // what the row before left is not this one's
	got, err := measure(ctx, r.model, r.tasks, t)
	if err != nil {
		return err
	}
	r.runs = append(r.runs, got)
	return nil
}

// calibrate finds how many tasks take about a window.
func (b *runner) calibrate(ctx context.Context, r *Row, t task) error {
	for n := max(4, r.Size); ; n *= 4 {
		begin := time.Now()
		if err := r.model.run(ctx, n, t); err != nil {
			return err
		}
		took := time.Since(begin)
		if took >= b.Window/8 {
			r.tasks = max(minTasks*r.Size, 8, int(float64(n)*b.Window.Seconds()/took.Seconds()))
			return nil
		}
	}
}

func (r *Row) summarize() {
	of := func(f func(run) float64) float64 {
		values := make([]float64, len(r.runs))
		for i, one := range r.runs {
			values[i] = f(one)
		}
		return median(values)
	}
	rates := make([]float64, len(r.runs))
	for i, one := range r.runs {
		rates[i] = one.rate
	}
	r.Rounds = len(r.runs)
	r.Rate, r.Spread, r.calm = median(rates), spread(rates), upperHalf(rates)
	r.P50 = of(func(x run) float64 { return x.p50.Seconds() })
	r.P99 = of(func(x run) float64 { return x.p99.Seconds() })
	r.Allocs = of(func(x run) float64 { return x.allocs })
	r.Memory = uint64(of(func(x run) float64 { return float64(x.memory) }))
	if r.runs[0].cpuKnown {
		r.CPU = of(func(x run) float64 { return x.cpu.Seconds() })
		r.CPUs = of(func(x run) float64 { return x.cpus })
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	k := len(sorted)
	if k == 0 {
		return 0
	}
	return (sorted[(k-1)/2] + sorted[k/2]) / 2
}

// upperHalf is the mean of the values from the median on.
func upperHalf(values []float64) float64 {
	upper := slices.Sorted(slices.Values(values))[len(values)/2:]
	sum := 0.0
	for _, v := range upper {
		sum += v
	}
	return sum / float64(len(upper))
}

// spread is half the distance of the quartiles, relative to the median.
func spread(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	k := len(sorted)
	if k < 2 || median(sorted) == 0 {
		return 0
	}
	return math.Abs(sorted[(3*(k-1)+2)/4]-sorted[(k-1)/4]) / 2 / median(sorted)
}
