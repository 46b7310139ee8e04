package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/demo"
)

// demoCommand returns the demo command, which runs a sidecar and a demo app that sends its
// telemetry to that sidecar.
func demoCommand(bind settingsBinder) *cobra.Command {
	return bind(&cobra.Command{
		Use:   "demo",
		Short: "Run a sidecar and an app whose pools get into trouble, to watch on the page",
		Args:  noArguments,
	}, runDemo, "config", "cgroup-root", "page-address", "page-host", "log-format")
}

func runDemo(c *cobra.Command, settings *config.Settings) (err error) {
	if settings.PageAddress == "" {
		return usageError{errors.New("the demo needs the page: set --page-address")}
	}
	dir, err := os.MkdirTemp("", "poolgauge-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	settings.Interval, settings.Exporters, settings.LogLevel = demo.Interval, []string{"none"}, "warn"
	settings.RelayGRPCAddress, settings.RelayHTTPAddress, settings.HealthAddress = "", "", ""
	settings.RelaySocket = filepath.Join(dir, "otlp.sock")
	if !isFree(c.Context(), settings.PageAddress) {
		settings.PageAddress = "127.0.0.1:0"
	}
	log := newLogger(settings, c.ErrOrStderr())
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	out := c.OutOrStdout()
	appDone := make(chan error, 1)
	started := func(url string) {
		if url == "" { // the log says why
			appDone <- nil
			cancel()
			return
		}
		fmt.Fprintf(
			out,
			"A shop with four pools, and its sidecar. Open\n\n  %s\n\nto watch them. Ctrl-C stops both.\n\n",
			url,
		)
		go func() {
			appDone <- demo.Run(ctx, "unix:"+settings.RelaySocket, out)
			cancel()
		}()
	}
	err = serve(ctx, settings, io.Discard, &problems{log: log}, nil, started)
	cancel()
	if err != nil {
		return err
	}
	return <-appDone
}
