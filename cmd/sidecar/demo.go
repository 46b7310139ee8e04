package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/demo"
)

// runDemo runs a sidecar and an app beside it, which sends to it as any app does, until the context
// is done.
func runDemo(c *cobra.Command, settings *config.Settings) (err error) {
	dir, err := os.MkdirTemp("", "poolgauge-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	socket := filepath.Join(dir, "otlp.sock")
	settings.Interval, settings.Exporters, settings.QueueDir = demo.Interval, []string{"none"}, ""
	settings.RelaySocket, settings.RelayGRPCAddress, settings.RelayHTTPAddress, settings.HealthAddress = socket, "", "", ""
	settings.LogLevel = "warn"
	if !isFree(c.Context(), settings.PageAddress) {
		settings.PageAddress = "127.0.0.1:0"
	}
	log := newLogger(settings, c.ErrOrStderr())
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	out := c.OutOrStdout()
	ended := make(chan error, 1)
	begin := func(url string) {
		if url == "" { // which the log has said
			ended <- nil
			cancel()
			return
		}
		fmt.Fprintf(
			out,
			"A shop with four pools, and its sidecar beside it. Open\n\n  %s\n\nand see what happens to them. Ctrl-C stops it.\n\n",
			url,
		)
		go func() {
			ended <- demo.Run(ctx, "unix:"+socket, out)
			cancel()
		}()
	}
	err = serve(ctx, settings, io.Discard, &problems{log: log}, nil, begin)
	cancel()
	if err != nil {
		return err
	}
	return <-ended
}

// isFree reports whether an address can be listened at.
func isFree(ctx context.Context, address string) bool {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}
