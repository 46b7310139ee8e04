// Command sidecar samples the host, the containers of its pod and their processes, runs small
// synthetic probes, receives the app's telemetry, and sends all of it over OTLP. Run
// `sidecar --help` for its commands and settings.
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
	"github.com/spf13/pflag"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// stopTimeout bounds how long the process takes to exit after a signal. Exiting without cleanup is
// safe: the queue's directory survives even the SIGKILL that Kubernetes would send next.
const stopTimeout = 1400 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process immediately
	// Keep running if the summary's reader or the terminal goes away. SIGHUP is not needed for
	// reloading: certificates are read for each new connection, and headers once a second.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { time.AfterFunc(stopTimeout, func() { os.Exit(exitFailed) }) })
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run runs the program with the given arguments, environment and outputs, and returns its exit
// code. Variables that are not settings, such as GOMEMLIMIT and NO_COLOR, are read from the
// process's own environment.
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

// usageError is an error in the command line or the settings. The exit code is then exitUsage.
type usageError struct{ error }

func newRoot(environ []string) *cobra.Command {
	bind := newSettingsBinder(environ)
	root := bind(&cobra.Command{
		Use:   "sidecar",
		Short: "Says when a pool is full, and why.",
		Long: "Samples the host and the containers and processes of its pod, runs small probes,\n" +
			"relays the app's telemetry, and sends everything over OTLP. Without an OTLP\n" +
			"endpoint it shows a summary on the terminal.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,

		SuggestionsMinimumDistance: 2,
	}, runSidecar)
	all := config.Declare(pflag.NewFlagSet("", pflag.ContinueOnError))
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{all.Explain(err, c.CommandPath(), c.Flags())}
	})
	root.SetHelpFunc(writeHelp)
	root.AddCommand(
		checkCommand(bind),
		benchCommand(bind),
		topCommand(bind),
		demoCommand(bind),
		&cobra.Command{Use: "metrics", Short: "Print the table of all metrics", Args: noArguments, RunE: printMetrics},
		&cobra.Command{Use: "version", Short: "Print the version", Args: noArguments, RunE: printVersion},
	)
	return root
}

// settingsBinder adds flags for the named settings to c, or for all settings if none are named, and
// returns c. When c is executed, it resolves the settings and calls run, or returns a usageError if
// they are invalid.
type settingsBinder func(
	c *cobra.Command, run func(*cobra.Command, *config.Settings) error, names ...string,
) *cobra.Command

func newSettingsBinder(environ []string) settingsBinder {
	return func(c *cobra.Command, run func(*cobra.Command, *config.Settings) error, names ...string) *cobra.Command {
		flags := config.Declare(c.Flags(), names...)
		c.RunE = func(c *cobra.Command, _ []string) error {
			settings, err := flags.Resolve(environ)
			if err != nil {
				return usageError{err}
			}
			// OpenTelemetry's SDK would read the variables itself, and ignore the flags.
			for _, name := range flags.Variables() {
				if err := os.Unsetenv(name); err != nil {
					return err
				}
			}
			return run(c, settings)
		}
		return c
	}
}

// unknownCommand returns an error if there are arguments, since the first one is not a command. The
// error suggests the most similar command.
func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if args[0] == "true" || args[0] == "false" {
		return usageError{
			fmt.Errorf(
				"unexpected argument %q: set a boolean flag with =, as in --host=false",
				args[0],
			),
		}
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return usageError{fmt.Errorf("unknown command %q, did you mean %q?", args[0], near[0])}
	}
	return usageError{fmt.Errorf("unknown command %q; sidecar --help lists the commands", args[0])}
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, got %q", c.Name(), args[0])}
	}
	return nil
}
