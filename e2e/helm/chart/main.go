// Command chart generates the templates of the Helm chart from the kustomizations. Run it with
// `make generate`; a test fails if a template is stale.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/poolgauge/poolgauge/e2e/helm"
)

func main() {
	files, err := helm.Chart()
	for name, text := range files {
		if err == nil {
			err = os.WriteFile(
				filepath.Join("..", "..", "deploy", "helm", "poolgauge", "templates", name),
				text,
				0o644,
			) //nolint:gosec // source code is public
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}
