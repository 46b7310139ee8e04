package bench

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/poolgauge/poolgauge/internal/lineage"
	"github.com/poolgauge/poolgauge/internal/throttle"
)

// Run measures o.Works. When ctx is done, it returns the results so far.
//
// A round measures every row of every kind of work once, in random order. Changes in the machine's
// load therefore affect all rows alike, and the measurements of each row are spread over the run.
func Run(ctx context.Context, o Options) Report {
	b := &runner{Options: o, rng: rand.New(rand.NewPCG(o.Seed, 16)), start: time.Now()}
	if b.readQuota == nil {
		b.readQuota = func() throttle.Reading {
			return throttle.ReadAt(lineage.Membership, cmp.Or(o.CgroupRoot, lineage.Mount))
		}
	}
	for _, w := range o.Works {
		b.sections = append(b.sections, b.prepare(ctx, w))
	}
	b.rounds(ctx)
	for _, s := range b.sections {
		s.done()
	}
	report := Report{CPUs: runtime.GOMAXPROCS(0), Interrupted: ctx.Err() != nil}
	for _, s := range b.sections {
		report.Works = append(report.Works, s.report(b.quota))
	}
	report.Noise = spread(b.reference)
	report.Quota = b.quota
	report.Seconds = time.Since(b.start).Seconds()
	return report
}

type runner struct {
	Options
	rng       *rand.Rand
	start     time.Time
	sections  []*section
	quota     float64
	reference []float64 // seconds, by round
}

// section holds the measurements for one kind of work.
type section struct {
	work Work
	task task
	done func()
	rows []*Row
	err  error // if not nil, the measurement has failed

	periods, throttled int64 // of the CPU quota
}

func (b *runner) prepare(ctx context.Context, w Work) *section {
	s := &section{work: w}
	if s.task, s.done, s.err = w.prepare(ctx); s.err != nil {
		s.done = func() {}
		return s
	}
	for _, m := range b.models(w) {
		s.rows = append(s.rows, &Row{Model: m.Kind, Size: m.Size, model: m})
	}
	return s
}

// models returns the models to compare, in the order of the table's rows.
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

func (s *section) report(quota float64) WorkReport {
	report := WorkReport{Name: s.work.Name, What: s.work.What}
	report.Throttled = float64(s.throttled) / float64(max(1, s.periods))
	if s.err != nil {
		report.Error = s.err.Error()
	}
	for _, r := range s.rows {
		if len(r.runs) > 0 {
			r.summarize()
			report.Rows = append(report.Rows, *r)
		}
	}
	report.conclude(quota)
	return report
}

// job is one measurement in a round.
type job struct {
	*section
	row *Row
}

func (b *runner) rounds(ctx context.Context) {
	var jobs []job
	for _, s := range b.sections {
		for _, r := range s.rows {
			jobs = append(jobs, job{s, r})
		}
	}
	for round := range b.Rounds {
		b.rng.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
		if !b.round(ctx, round, jobs) {
			return
		}
	}
}

// round runs each job once. It reports whether there should be another round.
func (b *runner) round(ctx context.Context, round int, jobs []job) bool {
	reference := time.Duration(0)
	for i, j := range jobs {
		overBudget := b.Budget > 0 && time.Since(b.start) > b.Budget
		if ctx.Err() != nil || round > 0 && overBudget {
			return false
		}
		if j.err != nil {
			continue
		}
		b.progress(round, float64(i)/float64(len(jobs)), j)
		reference += referenceTime()
		if err := b.measureRow(ctx, j); err != nil && ctx.Err() == nil {
			j.err = fmt.Errorf("%s: %w", j.row.model, err)
		}
	}
	b.reference = append(b.reference, reference.Seconds())
	return true
}

// progress reports the next measurement and an estimate of the time left. part is the completed
// share of the round. After the first round, the estimate is at most the remaining budget.
func (b *runner) progress(round int, part float64, j job) {
	if b.Progress == nil {
		return
	}
	done := (float64(round) + part) / float64(b.Rounds)
	elapsed := time.Since(b.start)
	total := 1.5 * float64(b.Rounds*len(b.sections)*len(j.rows)) * b.Window.Seconds()
	if done > 0.05 {
		total = elapsed.Seconds() / done
	}
	left := time.Duration((1 - done) * total * float64(time.Second))
	if b.Budget > 0 && round > 0 {
		left = min(left, max(0, b.Budget-elapsed))
	}
	b.Progress(fmt.Sprintf("round %d of %d: %s, %s", round+1, b.Rounds, j.work.Name, j.row.model), left)
}

// referenceTime returns how long a fixed computation takes. It is called before each measurement.
// The results are added up for each round, and the spread of these sums is the machine noise.
func referenceTime() time.Duration {
	start := time.Now()
	hash(10_000)
	return time.Since(start)
}

// minTasks is the minimum number of tasks per slot. With fewer tasks, the slots that are idle at
// the end of a run would distort the result.
const minTasks = 8

// measureRow measures the row of j once. It also counts how often a CPU quota throttled the process
// during the measurement.
func (b *runner) measureRow(ctx context.Context, j job) error {
	n, err := b.tasks(ctx, j)
	if err != nil {
		return err
	}
	runtime.GC() // so that this row does not pay for the previous row's garbage
	before := b.readQuota()
	measured, err := measure(ctx, j.row.model, n, j.task)
	if err != nil {
		return err
	}
	if change, ok := b.readQuota().Since(before); ok {
		b.quota = change.Quota
		j.periods += change.Periods
		j.throttled += change.Throttled
	}
	j.row.runs = append(j.row.runs, measured)
	return nil
}

// tasks returns the number of tasks that take about one window. It estimates the number from the
// row's measurements so far or, before the first one, from trial runs.
func (b *runner) tasks(ctx context.Context, j job) (int, error) {
	r := j.row
	minimum := max(minTasks*r.Size, minTasks)
	if len(r.runs) > 0 {
		return max(minimum, int(r.rate()*b.Window.Seconds())), nil
	}
	for n := max(4, r.Size); ; n *= 4 {
		start := time.Now()
		if err := r.model.run(ctx, n, j.task); err != nil {
			return 0, err
		}
		if took := time.Since(start); took >= b.Window/8 {
			return max(minimum, int(float64(n)*b.Window.Seconds()/took.Seconds())), nil
		}
	}
}
