package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/collector/otlp"
)

// check says what a valid configuration does; an invalid one has been refused by the time it runs.
func check(c *cobra.Command, settings *config.Settings) error {
	where := "the exporter is none: points go nowhere"
	switch {
	case settings.SDKDisabled:
		where = "OTEL_SDK_DISABLED is set: nothing is sampled"
	case settings.SendsOTLP():
		where = "points go to " + settings.EndpointURL(otlp.Metrics)
	case settings.ShowsSummary():
		where = "a summary goes to the terminal"
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "The configuration is good; %s.\n", where)
	return err
}
