// Command gen generates the Grafana dashboards from the metric table. Run it with `make generate`;
// a test fails if a dashboard is stale.
//
// It is a separate module, so that poolgauge does not depend on Grafana's library. Every query is
// written by package internal/promql from rows of the metric table. Renaming a metric therefore
// changes the dashboards, and removing a metric breaks the build.
package main

//go:generate go run .

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// directory is the output directory, relative to deploy/grafana/gen, where go generate runs.
const directory = ".."

func main() {
	for name, d := range dashboards() {
		text, err := render(d)
		if err == nil {
			err = os.WriteFile(filepath.Join(directory, name), text, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// dashboards returns all dashboards by file name.
func dashboards() map[string]dashboard.Dashboard {
	return map[string]dashboard.Dashboard{"pools.json": pools(), "host.json": host(), "fleet.json": fleet()}
}

func render(d dashboard.Dashboard) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // so that < and > in queries are readable in a diff
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return b.Bytes(), err
}
