// Footprint measures the cost of the sidecar, a bare OpenTelemetry SDK and a minimal Collector. It
// builds these contenders and measures, one at a time, how long each takes to send its first point.
// Then it runs all of them at the same time, each with its own OTLP receiver. It prints a Markdown
// table and whether the targets were met. The exit status is 1 if a target was not met.
//
// The contenders run at the same time because together they use about one percent of a core and
// hardly disturb one another, while other load on the machine disturbs all of them equally. So
// ratios are more reliable than absolute values.
//
//	cd benchmarks && go run ./footprint -duration 60s -interval 1s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/internal/machine"
)

type options struct {
	duration, interval time.Duration
	starts             int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "footprint:", err)
		os.Exit(1)
	}
}

var errNotMet = errors.New("a target was not met")

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("footprint", flag.ContinueOnError)
	var o options
	flags.DurationVar(
		&o.duration,
		"duration",
		time.Minute,
		"how long to measure after every process has sent its first point",
	)
	flags.DurationVar(&o.interval, "interval", time.Second, "interval between samples of each process")
	flags.IntVar(&o.starts, "starts", 5, "how many times to start each process, for the median time to the first point")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "footprint")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	contenders, err := build(ctx, dir, o.interval)
	if err != nil {
		return err
	}
	before := machine.Load()
	results, err := measure(ctx, contenders, o)
	if err != nil {
		return err
	}
	printMachine(out, args, before)
	printTable(out, results)
	if printTargets(out, checkTargets(results)) {
		return nil
	}
	return errNotMet
}

func printMachine(out io.Writer, args []string, loadBefore string) {
	fmt.Fprintf(out, "`go run ./footprint %s` on %s, %s; load average %s before and %s after.\n\n",
		strings.Join(args, " "), time.Now().Format(time.DateOnly), machine.Describe(), loadBefore, machine.Load())
}
