// Package harness compares implementations of an operation within one process. It measures CPU
// time, wall time, memory and latency, and the ratios of our implementation to its peers.
//
// Only ratios within one run are worth quoting, since the machine may be shared. So every round
// measures all subjects of a case one after the other, in a new random order. A reported ratio is
// the median over all rounds of the ratios within a round, and its noise is the 95% confidence
// interval of that median.
package harness

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Case is an operation that several subjects perform.
type Case struct {
	Name     string
	Subjects []Subject // the first is our implementation, the others are the peers
	Bars     []Bar     // targets that our implementation must meet
	NoAlloc  bool      // our implementation must allocate less than one byte per operation
	Procs    []int     // values of GOMAXPROCS to run with, 0 for all CPUs; empty means {0}
	Trials   int       // number of operations in a round; 0 means as many as take about Settings.Time
}

// Subject is one implementation of a case's operation.
type Subject struct {
	Name  string
	Order string // order in which waiting requests are served: "strict FIFO", "scramble", "none"
	// New sets up the subject for a round. run does n operations and returns when they are done.
	// stop, which may be nil, tears the subject down.
	New func() (run func(n int), stop func())
	// Measure, if set, is used instead of New. It is for subjects that measure something other than
	// the cost of n operations.
	Measure func(n int) Sample
}

// Settings configure a measurement.
type Settings struct {
	Rounds int
	Time   time.Duration  // approximate time per subject and round
	Only   *regexp.Regexp // matches the names of the cases to run; nil means all
	Done   func(Result)   // called after each case, if not nil
	Once   bool           // do not repeat the measurement of a case that misses a target
}

// Run measures cases. It sets GOMAXPROCS, so nothing else should run in the process.
func Run(cases []Case, s Settings) ([]Result, error) {
	var results []Result
	for _, c := range expand(cases) {
		if s.Only != nil && !s.Only.MatchString(c.Name) {
			continue
		}
		for _, b := range c.Bars {
			if b.Peer != "" && c.index(b.Peer) < 0 {
				return nil, fmt.Errorf(
					"case %q: a target refers to %q, which is not one of the case's subjects",
					c.Name,
					b.Peer,
				)
			}
		}
		r := measure(c, s)
		if s.Done != nil {
			s.Done(r)
		}
		results = append(results, r)
	}
	return results, nil
}

// Again measures the case of r once more.
func (r Result) Again(s Settings) Result {
	return measure(r.Case, s)
}

// expand returns a separate case for each value in Procs, with the value in its name. It leaves
// cases without Procs unchanged.
func expand(cases []Case) []Case {
	var all []Case
	for _, c := range cases {
		for _, p := range processors(c.Procs) {
			one := c
			one.Procs = []int{p}
			if len(c.Procs) > 0 {
				one.Name = fmt.Sprintf("%s, GOMAXPROCS %d", c.Name, p)
			}
			all = append(all, one)
		}
	}
	return all
}

// processors returns the GOMAXPROCS values in wanted that the machine supports, without duplicates.
func processors(wanted []int) []int {
	if len(wanted) == 0 {
		wanted = []int{0}
	}
	var procs []int
	for _, p := range wanted {
		if p == 0 {
			p = runtime.NumCPU()
		}
		if p <= runtime.NumCPU() && !slices.Contains(procs, p) {
			procs = append(procs, p)
		}
	}
	return procs
}

func measure(c Case, s Settings) Result {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.Procs[0]))
	Calibrate()
	operations := make([]int, len(c.Subjects))
	for i, subject := range c.Subjects {
		operations[i] = c.Trials
		if c.Trials == 0 {
			operations[i] = operationsWithin(subject, s.Time)
		}
	}
	r := Result{Case: c, Samples: make([][]Sample, len(c.Subjects))}
	for range s.Rounds {
		Calibrate()
		for _, i := range rand.Perm(len(c.Subjects)) {
			r.Samples[i] = append(r.Samples[i], sample(c.Subjects[i], operations[i]))
		}
		r.Spun = append(r.Spun, spun())
	}
	return r
}

func (c Case) index(subject string) int {
	return slices.IndexFunc(c.Subjects, func(s Subject) bool { return s.Name == subject })
}

// operationsWithin returns how many operations of s take about the given time. It trusts a long
// measurement only if a second one is also long, since another process may have delayed the first.
func operationsWithin(s Subject, target time.Duration) int {
	for n := 1; ; n *= 4 {
		took := sample(s, n).Wall
		if took*float64(n) < float64(target)/8 {
			continue
		}
		took = min(took, sample(s, n).Wall)
		if took*float64(n) >= float64(target)/8 {
			return max(1, int(float64(target)/took))
		}
	}
}

// Sample is one measurement of one subject, per operation. Values that were not measured are 0.
type Sample struct {
	CPU    float64 // nanoseconds, of all threads, user and system
	Wall   float64 // nanoseconds; the median if single operations were timed
	Max    float64 // nanoseconds of the slowest operation, if single operations were timed
	Bytes  float64 // bytes allocated or, in some cases, kept
	Allocs float64
	Count  float64 // number of events that the case counts
}

func sample(s Subject, n int) Sample {
	if s.Measure != nil {
		return s.Measure(n)
	}
	run, stop := s.New()
	if stop != nil {
		defer stop()
	}
	run(min(n, 100)) // keeps lazy initialization out of the comparison
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := cpuTime(), time.Now()
	run(n)
	wall, cpu := time.Since(start), cpuTime()-cpu
	runtime.ReadMemStats(&after)
	per := 1 / float64(n)
	return Sample{
		CPU: float64(cpu) * per, Wall: float64(wall) * per,
		Bytes: float64(after.TotalAlloc-before.TotalAlloc) * per, Allocs: float64(after.Mallocs-before.Mallocs) * per,
	}
}

// Parallel distributes n operations among goroutines and waits for them.
func Parallel(goroutines, n int, run func(n int)) {
	var wg sync.WaitGroup
	for i := range goroutines {
		share := n / goroutines
		if i < n%goroutines {
			share++
		}
		wg.Go(func() { run(share) })
	}
	wg.Wait()
}
