package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/diagnose"
)

// score counts what the answers of a program to one fault were worth.
type score struct {
	runs, windows, right, abstained, hosts int
	convicted                              int // runs of healthy programs with a verdict that something is wrong
	wrong                                  map[string]int
	found, delay                           int // runs whose fault was found, and after how many windows in all
}

// convictions are the verdicts that say that something is wrong.
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

// window scores one answer.
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

// add adds another score.
func (s *score) add(o *score) {
	s.runs, s.windows, s.right, s.abstained, s.hosts = s.runs+o.runs, s.windows+o.windows, s.right+o.right, s.abstained+o.abstained, s.hosts+o.hosts
	s.convicted, s.found, s.delay = s.convicted+o.convicted, s.found+o.found, s.delay+o.delay
	for v, n := range o.wrong {
		if s.wrong == nil {
			s.wrong = map[string]int{}
		}
		s.wrong[v] += n
	}
}

// countIf returns 1 if ok, else 0.
func countIf(ok bool) int {
	if ok {
		return 1
	}
	return 0
}

func percent(n, of int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(1, of))) }

// seconds returns how long after it was there the fault was found, on average.
func (s *score) seconds() float64 { return window * float64(s.delay) / float64(max(1, s.found)) }

// mistakes says what the fault was taken for.
func (s *score) mistakes() string {
	var all []string
	for _, v := range slices.Sorted(maps.Keys(s.wrong)) {
		all = append(all, fmt.Sprintf("%s %d", v, s.wrong[v]))
	}
	return strings.Join(all, ", ")
}

// scores are those of a program by fault; the empty one stands for all.
type scores map[string]*score

// scoresOf scores a program on runs.
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

// table scores programs on runs, and prints a row for each fault.
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
			fmt.Fprintf(out, " %s | %s | %s | %.0f s | %s |",
				percent(s.right, s.windows), percent(s.abstained, s.windows), percent(s.hosts, s.windows), s.seconds(), s.mistakes())
		}
		fmt.Fprintln(out)
	}
	return all, nil
}

// summary prints what is asked of verdicts besides being right.
func summary(out io.Writer, runs []*run, programs []program, all map[string]scores) {
	healthy := 0
	for _, r := range runs {
		healthy += countIf(r.Healthy)
	}
	for _, p := range programs {
		of := all[p.name]
		pair, right, confused := 0, 0, 0
		for a, b := range map[diagnose.Verdict]diagnose.Verdict{diagnose.Leaking: diagnose.TooSmall, diagnose.TooSmall: diagnose.Leaking} {
			if s := of[strings.ReplaceAll(a.String(), "_", " ")]; s != nil {
				pair, right, confused = pair+s.windows, right+s.right, confused+s.wrong[b.String()]
			}
		}
		fmt.Fprintf(out, "%s: %d of %d healthy programs convicted; leaking against too small: %s right, %d windows taken for the other\n",
			p.name, of[""].convicted, healthy, percent(right, pair), confused)
	}
}
