package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/diagnose"
)

// score counts a verdict program's right and wrong answers for one fault.
type score struct {
	runs, windows, right, abstained, hosts int
	convicted                              int // healthy runs with at least one verdict that something is wrong
	wrong                                  map[string]int
	found, delay                           int // runs whose fault was found, and the total number of windows until then
}

// convictions maps each verdict to whether it means that something is wrong.
var convictions = func() map[string]bool {
	all := map[string]bool{}
	for v := range diagnose.Verdicts() {
		all[v.String()] = v.Convicts()
	}
	for v := range diagnose.HostVerdicts() {
		all[v.String()] = v.Convicts()
	}
	return all
}()

// run scores the answers to the requests of one run.
func (s *score) run(l *label, answers []answer) {
	s.runs++
	convicts := func(a answer) bool { return convictions[a.Pool] || convictions[a.Host] }
	s.convicted += countIf(l.Healthy && slices.ContainsFunc(answers, convicts))
	right := func(a answer) bool { return slices.Contains(l.Pool, a.Pool) }
	if n := slices.IndexFunc(answers[l.There:], right); n >= 0 {
		s.found++
		s.delay += n + 1
	}
	for _, a := range answers[l.Scored:] {
		s.window(l, a, right(a))
	}
}

// window scores answer a to one line of a run labeled l. right is true if the verdict on the pool
// is right.
func (s *score) window(l *label, a answer, right bool) {
	s.windows++
	s.hosts += countIf(a.Host == l.Host)
	switch {
	case right:
		s.right++
	case a.Pool == "" || a.Pool == diagnose.Undetermined.String():
		s.abstained++
	default:
		if s.wrong == nil {
			s.wrong = map[string]int{}
		}
		s.wrong[a.Pool]++
	}
}

// add adds o to s.
func (s *score) add(o *score) {
	s.runs += o.runs
	s.windows += o.windows
	s.right += o.right
	s.abstained += o.abstained
	s.hosts += o.hosts
	s.convicted += o.convicted
	s.found += o.found
	s.delay += o.delay
	for v, n := range o.wrong {
		if s.wrong == nil {
			s.wrong = map[string]int{}
		}
		s.wrong[v] += n
	}
}

// countIf returns 1 if ok is true, and 0 otherwise.
func countIf(ok bool) int {
	if ok {
		return 1
	}
	return 0
}

func percent(n, of int) string { return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(max(1, of))) }

// seconds returns the mean time from the start of a fault until it was found, in seconds.
func (s *score) seconds() float64 { return window * float64(s.delay) / float64(max(1, s.found)) }

// mistakes lists the wrong verdicts and how often each was given.
func (s *score) mistakes() string {
	var all []string
	for _, v := range slices.Sorted(maps.Keys(s.wrong)) {
		all = append(all, fmt.Sprintf("%s %d", v, s.wrong[v]))
	}
	return strings.Join(all, ", ")
}

// scores maps the name of each fault to a verdict program's score. The empty name means all faults.
type scores map[string]*score

// scoresOf runs verdict program p on the given runs and returns its scores.
func scoresOf(p program, runs []*run) (scores, error) {
	of := scores{"": {}}
	for _, r := range runs {
		answers, err := p.judge(r.requests)
		if err != nil {
			return nil, err
		}
		var one score
		one.run(&r.label, answers)
		if of[r.Fault] == nil {
			of[r.Fault] = &score{}
		}
		of[r.Fault].add(&one)
		of[""].add(&one)
	}
	return of, nil
}

// table scores the verdict programs on the given runs, and prints a row for each fault.
func table(out io.Writer, runs []*run, programs []program) (map[string]scores, error) {
	all := map[string]scores{}
	fmt.Fprint(out, "| fault |")
	for _, p := range programs {
		of, err := scoresOf(p, runs)
		if err != nil {
			return nil, err
		}
		all[p.name] = of
		fmt.Fprintf(out, " %s: windows right | undetermined | host right | found after | mistaken for |", p.name)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|---|---|---|---|", len(programs)))
	for _, fault := range append(names(), "") {
		if all[programs[0].name][fault] == nil {
			continue
		}
		fmt.Fprintf(out, "| %s |", cmp.Or(fault, "all"))
		for _, p := range programs {
			s := all[p.name][fault]
			fmt.Fprintf(
				out,
				" %s | %s | %s | %.0f s | %s |",
				percent(
					s.right,
					s.windows,
				),
				percent(s.abstained, s.windows),
				percent(s.hosts, s.windows),
				s.seconds(),
				s.mistakes(),
			)
		}
		fmt.Fprintln(out)
	}
	return all, nil
}

// summary prints how many healthy programs were convicted, and how well each verdict program
// distinguishes the faults "leaking" and "too small".
func summary(out io.Writer, runs []*run, programs []program, all map[string]scores) {
	healthy := 0
	for _, r := range runs {
		healthy += countIf(r.Healthy)
	}
	for _, p := range programs {
		of := all[p.name]
		right, confused := of.pair()
		fmt.Fprintf(
			out,
			"%s: %d of %d healthy programs misjudged; \"leaking\" or \"too small\": %s right, %d windows confused them\n",
			p.name,
			of[""].convicted,
			healthy,
			right,
			confused,
		)
	}
}

// pair returns, for the faults "leaking" and "too small", the share of windows judged right, and
// the number of windows in which one was mistaken for the other.
func (of scores) pair() (right share, confused int) {
	leaking, tooSmall := diagnose.Leaking.String(), diagnose.TooSmall.String()
	for fault, other := range map[string]string{"leaking": tooSmall, "too small": leaking} {
		if s := of[fault]; s != nil {
			right.of, right.n, confused = right.of+s.windows, right.n+s.right, confused+s.wrong[other]
		}
	}
	return right, confused
}

// share is a fraction of windows, with the numerator n and the denominator of.
type share struct{ n, of int }

func (s share) String() string { return percent(s.n, s.of) }

// below reports whether the share is below the given percentage.
func (s share) below(percent float64) bool { return 100*float64(s.n) < percent*float64(s.of) }

// checkTargets returns an error if our verdicts miss a target.
func checkTargets(all map[string]scores) error {
	one, held := all[eachWindow.name], all[ours.name]
	var missed []error
	miss := func(is bool, format string, args ...any) {
		if is {
			missed = append(missed, fmt.Errorf(format, args...))
		}
	}
	right := func(s *score) share { return share{s.right, s.windows} }
	pair, _ := held.pair()
	miss(right(one[""]).below(92), "%v of the windows are judged right, want at least 92%%", right(one[""]))
	miss(
		right(held[""]).below(99),
		"%v of the windows are judged right after hysteresis, want at least 99%%",
		right(held[""]),
	)
	miss(pair.below(98), "leaking and too small are told apart in %v of their windows, want at least 98%%", pair)
	miss(held[""].convicted > 0, "%d healthy programs are convicted, want none", held[""].convicted)
	return errors.Join(missed...)
}
