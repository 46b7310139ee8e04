package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// checkCommand returns the check command, which validates the settings, or asks a running sidecar
// for warnings about pools.
func checkCommand(bind settingsBinder) *cobra.Command {
	c := &cobra.Command{
		Use: "check", Args: noArguments,
		Short: "Validate the configuration: exit 0 if it is valid, else 2",
		Long: "With --warnings URL, ask the running sidecar whose page is at that address for\n" +
			"pools in trouble or close to it: exit 0 if there are none, else 1 with a line\n" +
			"for each.",
	}
	page := c.Flags().String("warnings", "", "`URL`: page of a running sidecar; settings are then ignored")
	validate := bind(c, check).RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case *page == "":
			return validate(c, args)
		case c.Flags().NFlag() > 1:
			return usageError{
				errors.New("--warnings queries a running sidecar and cannot be combined with other flags"),
			}
		default:
			return checkWarnings(c.Context(), c.OutOrStdout(), *page)
		}
	}
	return c
}

// check describes the effect of a valid configuration.
func check(c *cobra.Command, settings *config.Settings) error {
	if len(settings.Problems) > 0 { // a sidecar with keep-running would tolerate these
		return usageError{settings.Problems[0]}
	}
	where := "the exporter is none: no metrics are sent"
	switch {
	case settings.SDKDisabled:
		where = "OTEL_SDK_DISABLED or --sdk-disabled is set: nothing is served except the health endpoints"
	case settings.SendsOTLP():
		where = "telemetry is sent to " + destinations(settings)
	case settings.ShowsSummary():
		where = "a summary is shown on the terminal"
	}
	text := fmt.Sprintf("The configuration is valid; %s.\n", where)
	if !settings.SDKDisabled {
		text += describeRelay(settings)
	}
	_, err := io.WriteString(c.OutOrStdout(), text)
	return err
}

// destination returns where telemetry is sent, or "" if none is sent.
func destination(s *config.Settings) string {
	if !s.SendsOTLP() {
		return ""
	}
	return destinations(s)
}

// destinations returns where each signal is sent, or a single URL if all signals are sent to the
// same one.
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

// describeRelay returns a line that says where the app's telemetry is received and queued.
func describeRelay(s *config.Settings) string {
	var places []string
	for _, place := range []string{s.RelayGRPCAddress, s.RelayHTTPAddress, s.RelaySocket} {
		if place != "" {
			places = append(places, place)
		}
	}
	received := "The app's telemetry is not received"
	if len(places) > 0 {
		received = "The app's telemetry is received at " + strings.Join(places, ", ")
	}
	if !s.SendsOTLP() {
		return received + ".\n"
	}
	queue := "in memory"
	if s.QueueDir != "" {
		queue = "in " + s.QueueDir
	}
	return fmt.Sprintf("%s; the queue is %s.\n", received, queue)
}
