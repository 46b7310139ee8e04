package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/fold"
)

const (
	helpWidth  = 80 // maximum width of a line, in columns
	helpColumn = 30 // column where the description of a flag begins
)

const settingsHelp = "Each setting can be a flag, a line of the --config file, or an environment variable: " +
	"$POOLGAUGE_PROBE_DIR for --probe-dir, unless another is shown. Flags take precedence over variables, " +
	"and variables over the file."

const signalsHelp = "The flags from --otlp-endpoint to --otlp-timeout can also be set for one signal, as --otlp-metrics-NAME, " +
	"--otlp-traces-NAME or --otlp-logs-NAME, such as --otlp-logs-headers, $OTEL_EXPORTER_OTLP_LOGS_HEADERS."

// writeHelp writes the help of the command c: its subcommands, its flags, and the settings that it
// reads.
func writeHelp(c *cobra.Command, _ []string) {
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
				writeEntry(w, 14, sub.Name(), sub.Short)
			}
		}
	}
	own, settings := flagsOf(c)
	writeFlags(w, "Flags", own)
	switch {
	case len(settings) == 0:
	case !c.HasParent():
		fmt.Fprintf(w, "\n%s\n\n%s\n", fold.Text(settingsHelp, helpWidth, ""), fold.Text(signalsHelp, helpWidth, ""))
		writeSettings(w, settings)
	case c.Flags().Lookup("interval") != nil: // c reads every setting
		fmt.Fprint(w, "\nSettings:\n  All settings of the sidecar; sidecar --help lists them.\n")
	default:
		writeFlags(w, "Settings", settings)
		fmt.Fprint(w, "\nsidecar --help lists all settings, and how to set them with variables or a file.\n")
	}
}

// flagsOf returns the flags of c: its own flags, and the settings that it reads.
func flagsOf(c *cobra.Command) (own, settings []*pflag.Flag) {
	c.Flags().VisitAll(func(flag *pflag.Flag) {
		switch {
		case flag.Hidden || flag.Name == "help":
		case config.Group(flag) == "":
			own = append(own, flag)
		default:
			settings = append(settings, flag)
		}
	})
	return own, settings
}

// writeSettings writes settings, which must be sorted by group.
func writeSettings(w io.Writer, settings []*pflag.Flag) {
	for len(settings) > 0 {
		group := config.Group(settings[0])
		n := slices.IndexFunc(settings, func(flag *pflag.Flag) bool { return config.Group(flag) != group })
		if n < 0 {
			n = len(settings)
		}
		writeFlags(w, group, settings[:n])
		settings = settings[n:]
	}
}

func writeFlags(w io.Writer, heading string, flags []*pflag.Flag) {
	if len(flags) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", heading)
	for _, flag := range flags {
		writeFlag(w, flag)
	}
}

func writeFlag(w io.Writer, flag *pflag.Flag) {
	kind, text := pflag.UnquoteUsage(flag)
	text = strings.TrimPrefix(text, kind+": ")
	switch {
	case flag.DefValue == "true":
		kind = "[=false]"
	case kind != "":
		kind = " " + kind
	}
	if !slices.Contains([]string{"", "[]", "true", "false"}, flag.DefValue) {
		text += " (default " + flag.DefValue + ")"
	}
	if name := config.StandardVariable(flag); name != "" {
		text += " [$" + name + "]"
	}
	writeEntry(w, helpColumn, "--"+flag.Name+kind, text)
}

// writeEntry writes a name and its description, which begins at the given column. If the name is
// too long, the description begins on the next line.
func writeEntry(w io.Writer, column int, name, text string) {
	lines := strings.Split(fold.Text(text, helpWidth-column, ""), "\n")
	if utf8.RuneCountInString(name) > column-4 {
		fmt.Fprintf(w, "  %s\n", name)
		name = ""
	}
	for _, line := range lines {
		begin := min(column, helpWidth-utf8.RuneCountInString(line)) // further left for a long variable
		fmt.Fprintf(w, "  %-*s%s\n", begin-2, name, line)
		name = ""
	}
}
