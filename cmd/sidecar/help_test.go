package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// walkCommands calls f for c and each of its subcommands, with the words that invoke the command.
func walkCommands(c *cobra.Command, words []string, f func(c *cobra.Command, words []string)) {
	f(c, words)
	for _, sub := range c.Commands() {
		walkCommands(sub, append(words[:len(words):len(words)], sub.Name()), f)
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	walkCommands(newRoot(nil), nil, func(c *cobra.Command, words []string) {
		code, stdout, stderr := execute(append(words, "--help")...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, c.Short) {
			t.Errorf("%q --help: exit code %d, %s%s", words, code, stdout, stderr)
		}
		for line := range strings.Lines(stdout) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > helpWidth {
				t.Errorf("%q --help: a line of %d columns, want at most %d: %s", words, n, helpWidth, line)
			}
		}
	})
}

// The help of a command lists its flags and no others. The exceptions are the flags for single
// signals, which are described together, and the help of check, which refers to that of sidecar.
func TestHelpListsTheFlagsOfItsCommand(t *testing.T) {
	walkCommands(newRoot(nil), nil, func(c *cobra.Command, words []string) {
		_, stdout, _ := execute(append(words, "--help")...)
		listed := map[string]bool{}
		for line := range strings.Lines(stdout) {
			if name, ok := strings.CutPrefix(line, "  --"); ok {
				listed[strings.FieldsFunc(name, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') })[0]] = true
			}
		}
		c.Flags().VisitAll(func(flag *pflag.Flag) {
			oneSignal := strings.Contains(flag.Usage, "instead of --otlp-")
			if c.Name() != "check" && !listed[flag.Name] && !oneSignal && flag.Name != "help" {
				t.Errorf("%q --help does not list --%s", words, flag.Name)
			}
			delete(listed, flag.Name)
		})
		for name := range listed {
			t.Errorf("%q --help lists --%s, which the command does not have", words, name)
		}
	})
}

func TestHelpShowsKindDefaultAndVariable(t *testing.T) {
	for args, want := range map[string][]string{
		"--help": {
			"Commands:\n  bench       Compare", "\nProbes:\n  --probe-budget PERCENT      share of one CPU",
			"  --interval DURATION         how often to sample (default 10s)\n" +
				"                              [$OTEL_METRIC_EXPORT_INTERVAL]\n",
			"  --host[=false]              sample the host;", "  --histogram base2_exponential_bucket_histogram|explicit_bucket_histogram\n",
			"$POOLGAUGE_PROBE_DIR for", "--otlp-metrics-NAME,",
		},
		"bench --help": {"Flags:\n  --work KINDS ", "  --json                      print JSON", "Settings:\n  --cgroup-root DIR ", "sidecar --help"},
		"check --help": {"--warnings URL ", "sidecar --help lists them"},
	} {
		code, stdout, _ := execute(strings.Fields(args)...)
		for _, part := range want {
			if code != 0 || !strings.Contains(stdout, part) {
				t.Errorf("%s: exit code %d, no %q in\n%s", args, code, part, stdout)
			}
		}
	}
}

// Flags that are unknown or would have no effect are rejected.
func TestFlagsWithoutEffectAreRejected(t *testing.T) {
	for args, want := range map[string]string{
		"bench --otlp-endpoint=http://h:1":           "sidecar bench does not use --otlp-endpoint; sidecar bench --help lists its flags",
		"--interval=1s bench":                        "sidecar bench does not use --interval",
		"top --interval=1s":                          "sidecar top does not use --interval",
		"demo --otlp-endpoint=http://h:1":            "sidecar demo does not use --otlp-endpoint",
		"version --interval=1s":                      "sidecar version does not use --interval",
		"check --warnings=http://h:1 --interval=1s":  "--warnings queries a running sidecar and cannot be combined with other flags",
		"bench --sweep --rounds=1":                   "--rounds has no effect with --sweep",
		"bench --sweep --window=1s":                  "--window has no effect with --sweep",
		"bench --sweep --cgroup-root=/sys/fs/cgroup": "--cgroup-root has no effect with --sweep",
		"bench --work=cpu --dir=/tmp":                "--dir has no effect without --work=file",
		"bench --url=http://h:1 --dir=/tmp":          "--dir has no effect without --work=file",
		"demo --page-address=off":                    "the demo needs the page: set --page-address",
		"completion bash --intervall=1s":             "unknown flag --intervall; sidecar completion bash --help lists the flags",
		"bench --jobs=cpu":                           "unknown flag --jobs; sidecar bench --help lists the flags",
		"bench --windo=1s":                           "unknown flag --windo, did you mean --window?",
		"top --config=/no/such --page-address=h:1":   "--config: cannot read the file",
	} {
		code, stdout, stderr := execute(strings.Fields(args)...)
		if code != exitUsage || stdout != "" || !strings.HasPrefix(stderr, "sidecar: "+want) ||
			strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, %s%s, want %s", args, code, stdout, stderr, want)
		}
	}
}

// Settings may also precede the command.
func TestSettingsBeforeTheCommand(t *testing.T) {
	code, stdout, stderr := execute("--otlp-endpoint", "http://h:4317", "check")
	if code != 0 || !strings.Contains(stdout, "telemetry is sent to http://h:4317") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}
