// Command orders is a small service that shows what a program with poolgauge looks like. It has an
// HTTP server, a worker pool, a database, an HTTP client, and at most ten lines of instrumentation,
// each of them marked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const usage = `usage: orders [serve|payments|load] [flags]
  serve     the service (default)
  payments  the payment service that it calls, with faults on request
  load      traffic for the service
orders COMMAND -h lists the flags.`

// run runs the program and returns the exit code, which is 2 if the command line is invalid.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"serve":    serve,
		"payments": payments,
		"load":     load,
	}
	name := "serve"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	command, known := commands[name]
	if !known {
		fmt.Fprintf(stderr, "orders: unknown command %q\n%s\n", name, usage)
		return 2
	}
	switch err := command(ctx, args, stdout, stderr); {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, new(usageError)):
		fmt.Fprintln(stderr, "orders:", err)
		return 2
	default:
		fmt.Fprintln(stderr, "orders:", err)
		return 1
	}
}

// usageError is an error in the command line.
type usageError struct{ error }

// parse parses the flags of a command. It prints no errors, since run prints them on one line.
func parse(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return err
	case err != nil:
		return usageError{fmt.Errorf("%s: %w", flags.Name(), err)}
	case flags.NArg() > 0:
		return usageError{fmt.Errorf("%s: expected flags only, got %q", flags.Name(), flags.Arg(0))}
	}
	return nil
}
