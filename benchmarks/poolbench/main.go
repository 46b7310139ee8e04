// Command poolbench scores verdicts on pools whose fault is known. Each program is simulated with random
// parameters: a minute in which it is well, and two minutes with a fault.
//
//	go run ./poolbench                 # from benchmarks/
//	go run ./poolbench -seed 7 -programs 50
package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/poolgauge/poolgauge/diagnose"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "poolbench:", err)
		os.Exit(1)
	}
}

const (
	window  = 10.0 // seconds
	before  = 6    // windows without the fault
	settles = 3    // windows in which the fault has just begun, and is not scored
	after   = 12   // windows with the fault
)

// score counts what verdicts were worth.
type score struct {
	windows, right, held, abstained, hosts, simple int // windows
	wrong                                          map[diagnose.Verdict]int
	found, delay                                   int // programs whose fault was found, and after how many windows in all
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("poolbench", flag.ContinueOnError)
	seed := flags.Uint64("seed", 1, "of the programs")
	programs := flags.Int("programs", 20, "for each fault")
	show := flags.String("show", "", "print each window of the programs with this fault")
	if err := flags.Parse(args); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "| fault | windows right | after hysteresis | undetermined | by simple rules | host right | found after | mistaken for |\n"+
		"|---|---|---|---|---|---|---|---|\n")
	for i, f := range faults {
		ours := scoreOf(f, i, *seed, *programs, *show, stdout)
		fmt.Fprintf(stdout, "| %s | %s | %s | %s | %s | %s | %.0f s | %v |\n", f.name, ours.part(ours.right), ours.part(ours.held),
			ours.part(ours.abstained), ours.part(ours.simple), ours.part(ours.hosts), window*float64(ours.delay)/float64(max(1, ours.found)), ours.wrong)
	}
	return nil
}

// scoreOf scores programs with the fault of a number.
func scoreOf(f fault, number int, seed uint64, programs int, show string, out io.Writer) *score {
	s := &score{wrong: map[diagnose.Verdict]int{}}
	for n := range programs {
		s.program(f, rand.New(rand.NewPCG(seed, uint64(1000*number+n))), f.name == show, out)
	}
	return s
}

func (s *score) part(n int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(s.windows)) }

// program runs and scores one program.
func (s *score) program(f fault, rng *rand.Rand, show bool, out io.Writer) {
	a, between := healthy(rng)
	var judge diagnose.Judge
	last, _ := a.run(window)
	judge.See(last, diagnose.UnknownMachine())
	first := true
	for n := range before + after {
		if n == before {
			f.inject(a, between)
		}
		now, machine := a.run(window)
		holds, one := judge.See(now, machine)
		w := diagnose.Between(last, now)
		last = now
		if show {
			fmt.Fprintf(out, "%d %s | %s | %s || %+v %+v\n", n, holds.Verdict, one.Verdict, one.Evidence, w, machine)
		}
		if n < before+settles {
			continue
		}
		s.window(f, holds.Verdict, one.Verdict)
		if first && slices.Contains(f.right, holds.Verdict) {
			first = false
			s.found++
			s.delay += n - before + 1
		}
		s.hosts += countIf(diagnose.Host(machine).Verdict == f.host)
		s.simple += countIf(slices.Contains(f.right, simpleRules(w)))
	}
}

// window scores what holds and what is said of a window.
func (s *score) window(f fault, holds, one diagnose.Verdict) {
	s.windows++
	s.held += countIf(slices.Contains(f.right, holds))
	switch {
	case slices.Contains(f.right, one):
		s.right++
	case one == diagnose.Undetermined:
		s.abstained++
	default:
		s.wrong[one]++
	}
}

// countIf returns 1 if ok, else 0.
func countIf(ok bool) int {
	if ok {
		return 1
	}
	return 0
}

// simpleRules are what an alert on utilization and waits would say: the baseline.
func simpleRules(w diagnose.Window) diagnose.Verdict {
	switch {
	case w.Failed > 0.5:
		return diagnose.Failing
	case w.Utilization > 0.9 && w.Wait > 0.1:
		return diagnose.TooSmall
	case w.Utilization < 0.1:
		return diagnose.Oversized
	}
	return diagnose.OK
}
