// Command sidecar samples the host, the containers of its pod and their processes, runs small
// synthetic probes, and sends all of it over OTLP. Run `sidecar --help` for its settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
)

// Exit codes: bad usage is told apart from what went wrong later.
const (
	exitFailed = 1
	exitUsage  = 2
)

// mostStopping is how long the process may take to end once it is told to. What is in the queue's
// directory is safe by then, as it is when the process is killed, which is what comes next.
const mostStopping = 1400 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	// a reader of the summary or a terminal that goes away is no reason to stop; files of
	// certificates and headers are read again anyway
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { time.AfterFunc(mostStopping, func() { os.Exit(exitFailed) }) })
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is the program: it returns the exit code, and reads and writes nothing but what it is given.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	root := newRoot(environ)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "sidecar:", err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

// usageError is an error that the user can fix before anything runs.
type usageError struct{ error }

func newRoot(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "sidecar",
		Short: "Says when a pool is full, and why.",
		Long: "Samples the host, the containers and processes of its pod, runs small synthetic probes, and sends it all over OTLP.\n" +
			"Without an OTLP endpoint it shows a summary on the terminal.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,

		SuggestionsMinimumDistance: 2,
	}
	flags := config.Declare(root.PersistentFlags())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{flags.Explain(err)} })
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { writeHelp(c, flags) })

	withSettings := func(f func(*cobra.Command, *config.Settings) error) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, _ []string) error {
			settings, err := flags.Resolve(environ)
			if err != nil {
				return usageError{err}
			}
			// OpenTelemetry's SDK would read the variables again, past the flags that go before
			// them.
			for _, name := range flags.Variables() {
				if err := os.Unsetenv(name); err != nil {
					return err
				}
			}
			return f(c, settings)
		}
	}
	root.RunE = withSettings(runSidecar)
	root.AddCommand(
		checkCommand(withSettings(check)),
		benchCommand(),
		topCommand(withSettings),
		&cobra.Command{
			Use:   "demo",
			Short: "Run an app whose pools get into trouble, beside a sidecar, and show them on the page",
			Args:  noArguments,
			RunE:  withSettings(runDemo),
		},
		&cobra.Command{Use: "metrics", Short: "Print the table of all metrics", Args: noArguments, RunE: printMetrics},
		&cobra.Command{Use: "version", Short: "Print the version", Args: noArguments, RunE: printVersion},
	)
	return root
}

// noSuchCommand refuses a first argument that is no command, with the nearest one.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if args[0] == "true" || args[0] == "false" {
		return usageError{
			fmt.Errorf("%q stands alone: a flag that is true or false takes it after =, such as --host=false", args[0]),
		}
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return usageError{fmt.Errorf("unknown command %q, did you mean %q?", args[0], near[0])}
	}
	return usageError{fmt.Errorf("unknown command %q; sidecar --help lists them", args[0])}
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, got %q", c.Name(), args[0])}
	}
	return nil
}

func writeHelp(c *cobra.Command, flags *config.Flags) {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "%s\n\n", c.Short)
	if c.Long != "" {
		fmt.Fprintf(w, "%s\n\n", c.Long)
	}
	fmt.Fprintf(w, "Usage:\n  %s\n", c.UseLine())
	if c.HasAvailableSubCommands() {
		fmt.Fprint(w, "\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-12s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	flags.WriteHelp(w)
}
