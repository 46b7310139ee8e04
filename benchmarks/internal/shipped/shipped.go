// Package shipped builds the sidecar as it is shipped.
package shipped

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build compiles the sidecar into file with the Makefile's flags. The working directory must be
// benchmarks.
func Build(ctx context.Context, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "make", "--no-print-directory", "-C", "..", "build", "OUT="+file)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the sidecar: %w (the working directory must be benchmarks)\n%s", err, text)
	}
	return nil
}
