package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
)

// greet prints what to know before the first summary: its interval, the page's URL, and how to send
// the telemetry to an upstream.
func greet(out io.Writer, settings *config.Settings, page string) {
	fmt.Fprintf(out, "Showing a summary every %v", settings.Interval)
	if page != "" {
		fmt.Fprintf(out, ", and serving a web page at %s", page)
	}
	if !settings.SendsOTLP() {
		fmt.Fprint(out, "\nTo send the data elsewhere:  OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4317 sidecar")
	}
	fmt.Fprint(out, "\n\n")
}

// wantsColors reports whether to write colors to out, following https://no-color.org.
func wantsColors(out io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(out)
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func newLogger(settings *config.Settings, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(settings.LogLevel)) // the settings are valid
	options := &slog.HandlerOptions{Level: level}
	if settings.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
