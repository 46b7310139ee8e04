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

// SweepOptions are the settings of [Sweep]. The zero value is good.
type SweepOptions struct {
	// Max is the largest number of workers tried. 0 means 1024.
	Max int

	// Budget is how long the sweep may take when its answer does not become clear sooner. 0 means
	// 50 seconds. It may be exceeded by the tasks under way.
	Budget time.Duration

	// Seed determines the order in which the sizes of a round are measured.
	Seed uint64

	// Progress, where it is set, is called before each measurement, from the goroutine of Sweep.
	Progress func(SweepProgress)
}

// SweepProgress says where a sweep is.
type SweepProgress struct {
	Workers int           // the size that is measured now
	Round   int           // from 1
	Elapsed time.Duration // since the start
	Left    time.Duration // at most; most sweeps end sooner
	Known   SweepResult   // so far
}

// SweepPoint is a point of the measured curve.
type SweepPoint struct {
	Workers int
	Rate    float64 // tasks per second
	Error   float64 // standard error of Rate, relative to it
	Rounds  int     // how often it was measured
}

// Latency is the mean time that a task takes with so many workers.
func (p SweepPoint) Latency() time.Duration {
	return time.Duration(float64(p.Workers) / p.Rate * float64(time.Second))
}

// SweepResult is what a sweep knows.
type SweepResult struct {
	// Curve is what was measured, by increasing number of workers.
	Curve []SweepPoint

	// Knee is the smallest number of workers with 95 % of the highest throughput: more of them only
	// wait for each other. 0 when nothing has been measured.
	Knee int

	// Low and High hold 90 % of the knees that such measurements give.
	Low, High int

	// Confidence is the probability, 0 to 1, that the knee is within 20 % of Knee, as far as the
	// spread of the measurements tells.
	Confidence float64

	// Clear says that the sweep ended because its answer was clear, not because of its budget, its
	// largest size or its context.
	Clear bool

	// Rising says that the largest size that was measured is the best: the knee may lie beyond.
	Rising bool

	// FailedAt is the smallest size with which more than 1 % of the tasks returned an error, and
	// FailedWith such an error. No size from there on is part of the curve. 0 where none failed.
	FailedAt   int
	FailedWith error

	Rounds  int
	Elapsed time.Duration
}

const (
	defaultMax    = 1024
	defaultBudget = 50 * time.Second

	minRounds   = 10   // before an answer is clear
	clearEnough = 0.99 // of the resampled knees are within 20 %
	resamples   = 300

	shortWindow = 100 * time.Millisecond
	windowTasks = 40   // in a window, unless each is long
	fineEnough  = 1.25 // ratio of the sizes about the knee

	// enoughBeyond is how many sizes of twice the knee and more are measured in each round. They
	// say how high the curve goes, and take long.
	enoughBeyond = 1
	maxFailed    = 0.01
)

// Sweep finds the best number of workers for task by running it with 1, 2, 4, … workers, until more
// of them bring nothing, and then with sizes about the knee: in rounds, each in another order, so
// that neighbours and a drifting clock rate do not bend the curve. It stops when the answer is
// clear.
//
// The task is called by many goroutines at once, thousands of times; it must do what the real work
// does, with resources like those of the real work. It should end early when its context is done.
//
// When ctx ends first, Sweep returns what is known so far and the error of ctx. It waits for the
// tasks under way: no goroutine outlives the call. A task that panics ends the sweep with an error
// that says so. A task that returns errors bounds the sizes tried: see [SweepResult].
func Sweep(
	ctx context.Context, task func(context.Context) error, opts SweepOptions,
) (SweepResult, error) {
	if task == nil {
		return SweepResult{}, errors.New("sizing: Sweep without a task")
	}
	rng := rand.New(rand.NewPCG(opts.Seed, 0xbe91))
	return sweep(ctx, measureTask(task, rng), time.Now, opts)
}

func sweep(
	ctx context.Context, measure measurer, now func() time.Time, opts SweepOptions,
) (SweepResult, error) {
	if opts.Max < 0 || opts.Max > maxSlots {
		return SweepResult{}, fmt.Errorf("sizing: up to %d workers, expected 1 to %d", opts.Max, maxSlots)
	}
	if opts.Budget < 0 {
		return SweepResult{}, fmt.Errorf("sizing: a budget of %v, expected more than 0", opts.Budget)
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

	largest    int // size that may be tried: less than opts.Max once tasks fail
	failedAt   int
	failedWith error

	data    samples
	latency map[int]float64 // seconds, as measured last
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
			if err := s.one(ctx, n); err != nil {
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

// explore measures sizes from n on, each twice the last, until two doublings bring less than 5 %.
func (s *sweeper) explore(ctx context.Context, n int) error {
	for ; n <= s.largest; n *= 2 {
		if err := s.one(ctx, n); err != nil {
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
	if _, measured := s.data[s.largest]; !measured && s.largest >= 1 {
		return s.one(ctx, s.largest)
	}
	return nil
}

// rate is what is known of a size, 0 if nothing.
func (s *sweeper) rate(n int) float64 {
	if s.latency[n] == 0 {
		return 0
	}
	return float64(n) / s.latency[n]
}

func (s *sweeper) last() int { return slices.Max(s.data.sizes()) }

// rising says whether the largest size is clearly better than all others.
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

// relevant returns the sizes that decide where the knee is: those about it, and those that say how
// high the curve goes. A size halfway is added while the gap at the knee is wide. Other sizes are
// measured in the first rounds only.
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

// between returns the middle of a gap that is too wide, 0 if it is not. Whatever noise does, it is
// one of few sizes: halves of the doublings, and halves of these.
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

// one measures a size once.
func (s *sweeper) one(ctx context.Context, n int) error {
	if n > s.largest {
		return nil
	}
	warm, window := s.times(n)
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

// fail takes a size and all above it out of the sweep.
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
		return fmt.Errorf("sizing: the task fails with one worker: %w", err)
	}
	return nil
}

// times returns how long to warm up with n workers and how long to measure, by the latency that the
// next smaller size had.
func (s *sweeper) times(n int) (warm, window time.Duration) {
	latency := 0.0
	for size := n; size > 0 && latency == 0; size-- {
		if l, ok := s.latency[size]; ok {
			latency = l
			if size < n {
				latency *= math.Sqrt(float64(n) / float64(size)) // between flat and saturated
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
