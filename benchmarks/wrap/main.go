// Command wrap compares wrapped pools with bare ones. It prints a table, and fails if a target is
// missed in two measurements.
//
//	go run ./wrap                          # from benchmarks/, all cases
//	go run ./wrap -run sql -rounds 15      # some cases, with less noise
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
)

// cases returns all cases. Each library has its own file.
func cases() []harness.Case {
	return slices.Concat(
		sqlCases(),
		httpCases(),
		xsyncCases(),
	)
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "wrap:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("wrap", flag.ContinueOnError)
	settings, err := harness.Parse(flags, args)
	if err != nil {
		return err
	}
	fmt.Fprintf(
		stdout,
		"%s: `go run ./wrap %s`, median of %d rounds\n\n",
		harness.Machine(),
		strings.Join(args, " "),
		settings.Rounds,
	)
	results, err := harness.Run(cases(), settings)
	if err != nil {
		return err
	}
	harness.Table(stdout, results)
	missed := harness.Twice(results, settings, harness.Result.Missed)
	if len(missed) == 0 {
		return nil
	}
	fmt.Fprintf(stdout, "\nMissed in both measurements:\n\n- %s\n", strings.Join(missed, "\n- "))
	return errors.New("a target was not met")
}
