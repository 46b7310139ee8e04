// Command classify measures how often the task profiler is right. It profiles nine synthetic tasks
// in three settings: on an idle machine, next to spinning processes, and in a process with twice as
// many spinning goroutines as processors. It prints a table of the results, and fails if fewer than
// 90% of the profiles are right in one of the first two settings, or if a CPU-bound task is ever
// classified as I/O-bound.
//
//	go run ./classify -rounds 10     # from benchmarks/
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/instrument/profile"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == helperSpin {
		spinForever()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "classify:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("classify", flag.ContinueOnError)
	rounds := flags.Int("rounds", 10, "number of profiles of each task in each setting")
	show := flags.Bool("show", false, "print each profile whose class is wrong")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "classify")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fmt.Fprintf(out, "%s: `go run ./classify %s`\n\n", harness.Machine(), strings.Join(args, " "))
	all := tasks(dir)
	var missed []string
	for _, s := range settings() {
		answers, err := s.ask(ctx, *rounds, all)
		if err != nil {
			return err
		}
		answers.print(out, s.name)
		if *show {
			answers.printWrong(out)
		}
		missed = append(missed, answers.missed(s)...)
	}
	if len(missed) > 0 {
		return errors.New(strings.Join(missed, "; "))
	}
	return nil
}

// ask profiles every task rounds times in setting s.
func (s setting) ask(ctx context.Context, rounds int, tasks []task) (answers, error) {
	stop, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	var all answers
	for _, t := range tasks {
		a := answer{task: t}
		for range rounds {
			p, err := t.profile(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			right, err := t.right(p.Class)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			a.profiles = append(a.profiles, judged{p, right})
		}
		all = append(all, a)
	}
	return all, nil
}

// answer holds the profiles of one task.
type answer struct {
	task     task
	profiles []judged
}

// judged is a profile and whether its class is right.
type judged struct {
	*profile.Profile
	right bool
}

func (a answer) count(is func(profile.Class) bool) (n int) {
	for _, p := range a.profiles {
		if is(p.Class) {
			n++
		}
	}
	return n
}

func (a answer) right() (n int) {
	for _, p := range a.profiles {
		if p.right {
			n++
		}
	}
	return n
}

type answers []answer

func (all answers) right() (right, of int) {
	for _, a := range all {
		right += a.right()
		of += len(a.profiles)
	}
	return right, of
}

var classes = []profile.Class{
	profile.CPUBound, profile.IOBound, profile.Mixed, profile.Quick, profile.LockContended, profile.Undetermined,
}

func (all answers) print(out io.Writer, name string) {
	right, of := all.right()
	fmt.Fprintf(out, "%s: %d of %d right\n\n| task | is | right |", name, right, of)
	for _, c := range classes {
		fmt.Fprintf(out, " %v |", c)
	}
	fmt.Fprintf(out, "\n|---|---|---|%s\n", strings.Repeat("---|", len(classes)))
	for _, a := range all {
		is := a.task.want.String()
		if a.task.byDisk {
			is = "depends on the disk"
		}
		fmt.Fprintf(out, "| %s | %s | %d/%d |", a.task.name, is, a.right(), len(a.profiles))
		for _, c := range classes {
			fmt.Fprintf(out, " %d |", a.count(func(got profile.Class) bool { return got == c }))
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out)
}

func (all answers) printWrong(out io.Writer) {
	for _, a := range all {
		for _, p := range a.profiles {
			if !p.right {
				fmt.Fprintf(out, "%s:\n%v\n", a.task.name, p)
			}
		}
	}
}

// missed returns a line for each target of setting s that the results in all do not meet.
func (all answers) missed(s setting) (missed []string) {
	if right, of := all.right(); float64(right) < s.target*float64(of) {
		missed = append(
			missed,
			fmt.Sprintf("%s: %d of %d profiles right, want at least %.0f%%", s.name, right, of, 100*s.target),
		)
	}
	for _, a := range all {
		wrong := a.count(func(c profile.Class) bool { return c == profile.IOBound })
		if wrong > 0 && slices.Contains([]profile.Class{profile.CPUBound, profile.Quick}, a.task.want) {
			missed = append(
				missed,
				fmt.Sprintf("%s: %s was classified as I/O-bound %d times", s.name, a.task.name, wrong),
			)
		}
	}
	return missed
}
