// Relay measures the cost of relaying OTLP through a queue on disk. It builds the sidecar and a
// Collector with file storage, and compares them. Four clients send metrics as fast as they are
// acknowledged, and a receiver behind the contender counts the points that arrive. Then clients
// send at a fixed rate, to measure memory, and at a moderate rate, to measure latency relative to
// that of the receiver alone. The rounds of all contenders are interleaved. Relay prints the
// medians as Markdown tables, and then the targets. The exit status is 1 if a target was not met.
//
// The clients, the receiver and the contender share the machine, so the contender's CPU time is the
// reliable measure; wall time depends on the other processes.
//
//	cd benchmarks && go run ./relay -rounds 5
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
	rounds   int
	duration time.Duration
	dir      string
	only     string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

var errMissed = errors.New("a target was not met")

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	var o options
	flags.IntVar(&o.rounds, "rounds", 5, "rounds to take the median of")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "duration of each measurement in a round")
	flags.StringVar(&o.dir, "dir", "", "directory for the queues; empty means the system's temporary directory")
	flags.StringVar(&o.only, "only", "", "measure only contenders whose name contains this, without checking targets")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "relay")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	contenders, err := build(ctx, dir)
	if err != nil {
		return err
	}
	before := machine.Load()
	results, err := measure(ctx, contenders, dir, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "`go run ./relay %s` on %s, %s; load average %s before and %s after.\n\n",
		strings.Join(args, " "), time.Now().Format(time.DateOnly), machine.Describe(), before, machine.Load())
	printTables(out, results)
	if o.only != "" || printTargets(out, checkTargets(results)) {
		return nil
	}
	return errMissed
}
