package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// checkCommand validates the configuration by valid, or asks a running sidecar for warnings.
func checkCommand(valid func(*cobra.Command, []string) error) *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Args:  noArguments,
		Short: "Validate the configuration: exit 0 if it is good, 2 with the reason if not",
		Long:  "With --warnings URL, ask the sidecar whose page is there for pools in trouble or near it: exit 0 if there are none, 1 with a line for each.",
	}
	at := c.Flags().String("warnings", "", "")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *at == "" {
			return valid(c, args)
		}
		return checkWarnings(c.Context(), c.OutOrStdout(), *at)
	}
	return c
}

// check says what a valid configuration does. An invalid one has been refused by the time it runs,
// unless the sidecar is to keep running with it.
func check(c *cobra.Command, settings *config.Settings) error {
	if len(settings.Problems) > 0 {
		return usageError{settings.Problems[0]}
	}
	where := "the exporter is none: points go nowhere"
	switch {
	case settings.SDKDisabled:
		where = "OTEL_SDK_DISABLED is set: nothing is sampled"
	case settings.SendsOTLP():
		where = "points go to " + destinations(settings)
	case settings.ShowsSummary():
		where = "a summary goes to the terminal"
	}
	text := fmt.Sprintf("The configuration is good; %s.\n", where)
	if !settings.SDKDisabled {
		text += describeRelay(settings)
	}
	_, err := io.WriteString(c.OutOrStdout(), text)
	return err
}

// destination is where metrics go, "" if nowhere.
func destination(s *config.Settings) string {
	if !s.SendsOTLP() {
		return ""
	}
	return destinations(s)
}

// destinations says where the signals go: in one word if that is the same for all.
func destinations(s *config.Settings) string {
	var all []string
	same := true
	for _, signal := range otlp.Signals() {
		to := "nowhere"
		if s.Sends(signal) {
			to = s.EndpointURL(signal)
		}
		same = same && to == s.EndpointURL(otlp.Metrics)
		all = append(all, fmt.Sprintf("%s (%s)", to, signal))
	}
	if same {
		return s.EndpointURL(otlp.Metrics)
	}
	return strings.Join(all, ", ")
}

// describeRelay says where the app's points are taken, and where they wait.
func describeRelay(s *config.Settings) string {
	var places []string
	for _, place := range []string{s.RelayGRPCAddress, s.RelayHTTPAddress, s.RelaySocket} {
		if place != "" {
			places = append(places, place)
		}
	}
	taken := "The app's points are not taken"
	if len(places) > 0 {
		taken = "The app's points are taken at " + strings.Join(places, ", ")
	}
	if !s.SendsOTLP() {
		return taken + ".\n"
	}
	queue := "in memory"
	if s.QueueDir != "" {
		queue = "in " + s.QueueDir
	}
	return fmt.Sprintf("%s; what waits for the upstream is %s.\n", taken, queue)
}
