package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the version of the release. The linker sets it; other builds leave it empty.
var version = ""

func printVersion(c *cobra.Command, _ []string) error {
	_, err := fmt.Fprintf(
		c.OutOrStdout(),
		"poolgauge sidecar %s %s/%s %s\n",
		buildVersion(),
		runtime.GOOS,
		runtime.GOARCH,
		runtime.Version(),
	)
	return err
}

// buildVersion returns the version of the release or, if this is not a release, the module's
// version in the build information.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
