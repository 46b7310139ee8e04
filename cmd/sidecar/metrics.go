package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// printMetrics prints a table of all metrics. docs/metrics.md also lists their attributes.
func printMetrics(c *cobra.Command, _ []string) error {
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
	catalog.Each(func(g *catalog.Group, m *catalog.Metric) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", g.Name, m.Name, m.Kind, m.Unit, m.Help)
	})
	return w.Flush()
}
