// Command poolbench scores verdicts on pools whose fault is known. It simulates programs, whose
// parameters are drawn at random from a seed, for a healthy minute and then a minute and a half
// with a fault. Every ten seconds a program sends OTLP, as an app and its sidecar would.
//
//	go run ./poolbench                           # from benchmarks/: our verdicts, simple rules
//	go run ./poolbench -seed 7 -programs 50
//	go run ./poolbench -program 'python3 my.py'  # and also your own program
//	go run ./poolbench -write DIR                # write the OTLP files and their labels
//	go run ./poolbench -from DIR -program …      # score these files
//	go run ./poolbench -judge < DIR/leaking-3.jsonl
//	go run ./poolbench -live                     # real pools with faults, in a minute or two
//
// A verdict program reads OTLP/JSON from its standard input: one line with an
// ExportMetricsServiceRequest for every ten seconds, as the Collector's file exporter writes it.
// For each line it writes a line such as {"pool":"leaking","host":"ok"}. Verdicts are named as in
// the metric poolgauge.pool.verdict; an empty string means no verdict.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := command(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "poolbench:", err)
		}
		os.Exit(1)
	}
}

func command(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("poolbench", flag.ContinueOnError)
	seed := flags.Uint64("seed", 1, "seed for the programs' random parameters")
	programs := flags.Int("programs", 20, "number of programs for each fault")
	with := flags.String("program", "", "a command whose verdicts are scored next to ours")
	write := flags.String("write", "", "a directory to write the files and labels.json to, without scoring")
	from := flags.String("from", "", "a directory written with -write, to read instead of simulating")
	judge := flags.Bool("judge", false, "read lines of OTLP/JSON, and write verdicts")
	realPools := flags.Bool("live", false, "run real pools, judged every half second, instead of simulating")
	only := flags.String("fault", "", "simulate only programs with this fault")
	show := flags.Bool("show", false, "print each window that was misjudged")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *judge {
		return judgeLines(stdin, stdout)
	}
	if *realPools {
		return liveMatrix(stdout)
	}
	var runs []*run
	var err error
	if *from != "" {
		runs, err = readRuns(*from)
	} else {
		runs = simulate(*seed, *programs, *only)
	}
	switch {
	case err != nil:
		return err
	case len(runs) == 0:
		return fmt.Errorf("-fault %q: expected one of %q", *only, names())
	case *write != "":
		return writeRuns(*write, runs)
	case *show:
		showMistakes(stdout, runs)
		return nil
	}
	judges := []program{eachWindow, ours, simple}
	if *with != "" {
		judges = append(judges, external(*with))
	}
	scores, err := table(stdout, runs, judges)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout)
	summary(stdout, runs, judges, scores)
	if *only != "" {
		return nil
	}
	return checkTargets(scores)
}
