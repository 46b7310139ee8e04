package sizing

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// SweepOptions configures [Sweep]. The zero value is a good default.
type SweepOptions struct {
	// Max is the largest number of workers to try. Zero means 1024.
	Max int

	// Budget is how long a sweep may take if its answer does not become clear sooner. Zero means 50
	// seconds. Running tasks may exceed it.
	Budget time.Duration

	// Seed determines the order in which the sizes of a round are measured.
	Seed uint64

	// Progress, if set, is called before each measurement, in the goroutine that called Sweep.
	Progress func(SweepProgress)
}

// SweepProgress is the progress of a sweep.
type SweepProgress struct {
	Workers int           // number of workers to be measured next
	Round   int           // current round, from 1
	Elapsed time.Duration // time since the start
	Left    time.Duration // upper bound of the remaining time; most sweeps end sooner
	Known   SweepResult   // the result so far
}

// SweepPoint is a point of the measured curve.
type SweepPoint struct {
	Workers int
	Rate    float64 // tasks per second
	Error   float64 // standard error of Rate, as a fraction of Rate
	Rounds  int     // number of measurements
}

// Latency returns the mean duration of a task with p.Workers workers.
func (p SweepPoint) Latency() time.Duration {
	return time.Duration(float64(p.Workers) / p.Rate * float64(time.Second))
}

// SweepResult is the result of a sweep.
type SweepResult struct {
	// Curve holds the measured points, sorted by number of workers.
	Curve []SweepPoint

	// Knee is the smallest number of workers with 95% of the highest throughput; more workers would
	// only wait for each other. It is 0 if nothing was measured.
	Knee int

	// Low and High enclose 90% of the knees that result from resampling the measurements.
	Low, High int

	// Confidence is the probability, 0 to 1, that the true knee is within 20% of Knee, estimated
	// from the spread of the measurements.
	Confidence float64

	// Clear reports whether the sweep ended because its answer was clear, rather than because of
	// its budget, its largest size or its context.
	Clear bool

	// Rising reports whether the largest measured size is the best, so that the knee may be beyond
	// it.
	Rising bool

	// FailedAt is the smallest size at which more than 1% of the tasks returned an error, or 0 if
	// there is no such size. FailedWith is one of these errors. The curve ends before that size.
	FailedAt   int
	FailedWith error

	Rounds  int
	Elapsed time.Duration
}

const (
	defaultMax    = 1024
	defaultBudget = 50 * time.Second

	minRounds   = 10   // minimum number of rounds before an answer is clear
	clearEnough = 0.99 // minimum fraction of resampled knees within 20% of the knee for a clear answer
	resamples   = 300

	shortWindow = 100 * time.Millisecond
	windowTasks = 40   // number of tasks in a window; fewer if tasks are long
	fineEnough  = 1.25 // maximum ratio of adjacent sizes near the knee

	// enoughBeyond is the number of sizes at or above twice the knee that are measured in each
	// round. These sizes show how high the curve rises, but take long to measure.
	enoughBeyond = 1
	maxFailed    = 0.01 // maximum fraction of a size's tasks that may fail
)

// Sweep finds the best number of workers for a task. It runs the task with 1, 2, 4, … workers until
// more workers gain nothing, and then with numbers of workers near the knee. It measures in rounds,
// each in a different order, so that neighbors and a drifting CPU frequency do not bend the curve.
// It stops when the answer is clear.
//
// Many goroutines call the task, thousands of times in total. The task must do what the real work
// does, with the same resources, and should return early when its context is done.
//
// If ctx is done first, Sweep returns the result so far and ctx.Err(). It waits for running tasks:
// no goroutine outlives the call. If the task panics, the sweep ends with an error. If too many
// calls return errors, Sweep tries no larger sizes; see [SweepResult].
func Sweep(
	ctx context.Context, task func(context.Context) error, opts SweepOptions,
) (SweepResult, error) {
	if task == nil {
		return SweepResult{}, errors.New("sizing: the task is nil")
	}
	rng := rand.New(rand.NewPCG(opts.Seed, 0xbe91))
	return sweep(ctx, measureTask(task, rng), time.Now, opts)
}

func sweep(
	ctx context.Context, measure measurer, now func() time.Time, opts SweepOptions,
) (SweepResult, error) {
	if opts.Max < 0 || opts.Max > maxSlots {
		return SweepResult{}, fmt.Errorf("sizing: Max is %d workers, expected 1 to %d", opts.Max, maxSlots)
	}
	if opts.Budget < 0 {
		return SweepResult{}, fmt.Errorf("sizing: Budget is %v, expected a positive duration", opts.Budget)
	}
	s := &sweeper{
		measure: measure, now: now, opts: opts, began: now(), data: samples{},
		latency: map[int]float64{}, rng: rand.New(rand.NewPCG(opts.Seed, 0x5157)),
	}
	s.largest = opts.Max
	if s.largest == 0 {
		s.largest = defaultMax
	}
	if s.opts.Budget == 0 {
		s.opts.Budget = defaultBudget
	}
	err := s.run(ctx)
	if errors.Is(err, errBudget) {
		err = nil
	}
	return s.result(), err
}

var errBudget = errors.New("out of budget")

type sweeper struct {
	measure measurer
	now     func() time.Time
	opts    SweepOptions
	began   time.Time
	rng     *rand.Rand

	largest    int // largest size to try; less than opts.Max once tasks have failed
	failedAt   int
	failedWith error

	data    samples
	latency map[int]float64 // last measured latency in seconds, by size
	round   int
	clear   bool
}

func (s *sweeper) run(ctx context.Context) error {
	if err := s.explore(ctx, 1); err != nil {
		return err
	}
	for !s.clear {
		sizes := s.relevant()
		s.rng.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
		s.round++
		for _, n := range sizes {
			if err := s.measureOnce(ctx, n); err != nil {
				return err
			}
		}
		if s.rising() && 2*s.last() <= s.largest {
			if err := s.explore(ctx, 2*s.last()); err != nil {
				return err
			}
		}
		s.clear = s.isClear()
	}
	return nil
}

// explore measures with n workers, then with twice as many, and so on, until two successive
// doublings together gain less than 5%.
func (s *sweeper) explore(ctx context.Context, n int) error {
	for ; n <= s.largest; n *= 2 {
		if err := s.measureOnce(ctx, n); err != nil {
			return err
		}
		before := 0.0
		for size := range s.data {
			if size <= n/4 {
				before = max(before, s.rate(size))
			}
		}
		if max(s.rate(n/2), s.rate(n)) < 1.05*before {
			return nil
		}
	}
	if _, measured := s.data[s.largest]; !measured {
		return s.measureOnce(ctx, s.largest)
	}
	return nil
}

// rate returns the last measured rate with n workers, or 0 if there is none.
func (s *sweeper) rate(n int) float64 {
	if s.latency[n] == 0 {
		return 0
	}
	return float64(n) / s.latency[n]
}

// last returns the largest size measured.
func (s *sweeper) last() int { return slices.Max(s.data.sizes()) }

// rising reports whether the largest size is clearly better than all other sizes.
func (s *sweeper) rising() bool {
	points := s.data.estimates()
	if len(points) < 2 {
		return true
	}
	last := points[len(points)-1]
	best := points[0]
	for _, p := range points[:len(points)-1] {
		if p.log > best.log {
			best = p
		}
	}
	return last.log-best.log > max(0.03, 2*math.Hypot(last.se, best.se))
}

// relevant returns the sizes that determine where the knee is: sizes near the knee, and sizes that
// show how high the curve rises. While the gap at the knee is too wide, relevant adds a size within
// the gap. Other sizes are measured only in the first rounds.
func (s *sweeper) relevant() []int {
	points := s.data.estimates()
	goal := math.Exp(top(settled(points)))
	below, knee := bracket(points)
	var sizes []int
	above, beyond := 0, 0
	for _, p := range points {
		if p.workers > below && above == 0 {
			above = p.workers
		}
		low := p.workers < below && (math.Exp(p.log) > 0.75*goal || s.round < 2)
		if low || p.workers >= below && beyond < enoughBeyond {
			sizes = append(sizes, p.workers)
		}
		if p.workers >= 2*knee {
			beyond++
		}
	}
	if middle := between(below, above); middle > 0 {
		sizes = append(sizes, middle)
	}
	return sizes
}

// between returns a size in the middle of the gap between the sizes below and above, or 0 if the
// gap is narrow enough. Every such size results from repeatedly halving the gap between two
// doublings, so that only a few different sizes are measured despite noise.
func between(below, above int) int {
	if above-below < 2 || float64(above) <= fineEnough*float64(below) || below == 0 {
		return 0
	}
	return int(math.Round(math.Sqrt(float64(above) * float64(below))))
}

func (s *sweeper) isClear() bool {
	points := settled(s.data.estimates())
	below, _ := bracket(points)
	for i, p := range points {
		if p.workers <= below {
			continue
		}
		if between(below, p.workers) > 0 || len(p.values) < minRounds {
			return false
		}
		if i > 0 && len(points[i-1].values) < minRounds {
			return false
		}
		break
	}
	if s.rising() && 2*s.last() <= s.largest {
		return false
	}
	return s.result().Confidence >= clearEnough
}

// measureOnce measures the rate with n workers once. It does nothing if n is above s.largest, and
// returns errBudget if the measurement would exceed the budget.
func (s *sweeper) measureOnce(ctx context.Context, n int) error {
	if n > s.largest {
		return nil
	}
	warm, window := s.durations(n)
	elapsed := s.now().Sub(s.began)
	if len(s.data) > 0 && elapsed+warm+window > s.opts.Budget {
		return errBudget
	}
	if s.opts.Progress != nil {
		s.opts.Progress(SweepProgress{
			Workers: n, Round: s.round + 1, Elapsed: elapsed, Left: s.opts.Budget - elapsed, Known: s.result(),
		})
	}
	m, err := s.measure(ctx, n, warm, window)
	if err != nil {
		return err
	}
	if m.failed > maxFailed {
		return s.fail(n, m.err)
	}
	s.data.add(n, s.round, m.rate)
	s.latency[n] = float64(n) / max(m.rate, 1e-9)
	return nil
}

// fail removes size n and all larger sizes from the sweep, because tasks failed with err.
func (s *sweeper) fail(n int, err error) error {
	s.failedAt, s.failedWith = n, err
	s.largest = n - 1
	for size := range s.data {
		if size >= n {
			delete(s.data, size)
			delete(s.latency, size)
		}
	}
	if n == 1 {
		return fmt.Errorf("sizing: the task failed with one worker: %w", err)
	}
	return nil
}

// durations returns how long to warm up with n workers and how long to measure, based on the
// latency of the next smaller size.
func (s *sweeper) durations(n int) (warm, window time.Duration) {
	latency := 0.0
	for size := n; size > 0 && latency == 0; size-- {
		if l, ok := s.latency[size]; ok {
			latency = l
			if size < n {
				latency *= math.Sqrt(float64(n) / float64(size)) // between constant and saturated
			}
		}
	}
	task := time.Duration(latency * float64(time.Second))
	enough := time.Duration(latency / float64(n) * windowTasks * float64(time.Second))
	window = max(shortWindow, min(max(enough, 2*task), 8*task, s.opts.Budget/30))
	return min(max(shortWindow/4, 2*task), window), window
}

func (s *sweeper) result() SweepResult {
	r := SweepResult{
		FailedAt: s.failedAt, FailedWith: s.failedWith, Clear: s.clear,
		Rounds: s.round, Elapsed: s.now().Sub(s.began),
	}
	if len(s.data) == 0 {
		return r
	}
	points := s.data.estimates()
	for _, p := range points {
		r.Curve = append(r.Curve, SweepPoint{p.workers, math.Exp(p.log), p.se, len(p.values)})
	}
	_, r.Knee = bracket(points)
	knees := resample(points, resamples, rand.New(rand.NewPCG(s.opts.Seed, uint64(s.round))))
	r.Low, r.High = knees[resamples/20], knees[resamples-1-resamples/20]
	near := 0
	for _, k := range knees {
		if math.Abs(float64(k-r.Knee)) <= 0.2*float64(r.Knee) {
			near++
		}
	}
	r.Confidence = float64(near) / float64(len(knees))
	r.Rising = r.Knee > points[max(0, len(points)-2)].workers && s.rising()
	return r
}
