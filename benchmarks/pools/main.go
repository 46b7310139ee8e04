// Command pools compares the pools of package pools with their peers and with the best that the
// machine can do. It prints a table, and fails if a target is not met or if a ratio is worse than
// in the checked-in baseline by more than the noise of the two runs.
//
//	go run ./pools                              # from benchmarks/, all cases
//	go run ./pools -run semaphore -rounds 15    # some cases, with less noise
//	go run ./pools -json pools/baseline.json    # write a new baseline
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
)

// cases returns all cases. Each kind of pool has its own file.
func cases() []harness.Case {
	return slices.Concat(
		semaphoreCases(),
		resourcesCases(),
		workersCases(),
		rateCases(),
		groupCases(),
		latencyCases(),
		lifetimeCases(),
	)
}

// telemetryOfWaits returns a case that measures the cost of telemetry when callers have to wait.
// The case runs on one CPU, since with two CPUs the noise exceeds the target.
func telemetryOfWaits(name string, on, off harness.Subject) harness.Case {
	return harness.Case{
		Name: name, Subjects: []harness.Subject{on, off}, Procs: []int{1},
		Bars: []harness.Bar{{Peer: off.Name, Ratio: 1, Plus: 10 * time.Nanosecond}},
	}
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pools:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("pools", flag.ContinueOnError)
	baseline := flags.String("baseline", "pools/baseline.json", "ratios to compare with")
	save := flags.String("json", "", "write the ratios to this file, replacing those of the cases that were run")
	settings, err := harness.Parse(flags, args)
	if err != nil {
		return err
	}
	committed, err := harness.Load(*baseline)
	if err != nil {
		return err
	}
	command := "go run ./pools " + strings.Join(args, " ")
	fmt.Fprintf(stdout, "%s: `%s`, median of %d rounds\n\n", harness.Machine(), command, settings.Rounds)
	harness.Header(stdout)
	settings.Done = func(r harness.Result) { r.Rows(stdout) }
	results, err := harness.Run(cases(), settings)
	if err != nil {
		return err
	}
	harness.Footer(stdout, results)
	if *save != "" {
		return saveTo(*save, command, results)
	}
	return verdict(stdout, committed, results, settings)
}

func saveTo(path, command string, results []harness.Result) error {
	b, err := harness.Load(path)
	if err != nil {
		return err
	}
	b.Machine, b.Command = harness.Machine(), command
	b.Add(results)
	return b.Save(path)
}

// verdict returns an error if a target is not met or a ratio is worse than in the checked-in
// baseline.
func verdict(stdout io.Writer, committed harness.Baseline, results []harness.Result, s harness.Settings) error {
	failed := harness.Twice(
		results,
		s,
		func(r harness.Result) []string { return append(r.Missed(), committed.Worse(r)...) },
	)
	if len(failed) == 0 {
		return nil
	}
	fmt.Fprintf(
		stdout,
		"\nMissed or worse than `baseline.json` (%s), in both measurements:\n\n- %s\n",
		committed.Machine,
		strings.Join(failed, "\n- "),
	)
	return errors.New("a target was not met, or a ratio is worse than in the checked-in baseline")
}
