package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// awaitQuiet waits until the CPUs are mostly idle, because the sidecar cannot tell a scenario's
// hogs from other busy processes. If the CPUs are still busy after a few minutes, it returns an
// error that wraps errSkipped. On a kernel without pressure files, it does not wait.
func awaitQuiet(ctx context.Context) error {
	const (
		quiet    = 20 // maximum percentage of the last ten seconds in which some process waited for a CPU
		patience = 3 * time.Minute
		pause    = 2 * time.Second
	)
	for deadline := time.Now().Add(patience); ; {
		percent, ok := cpuPressure()
		if !ok || percent < quiet {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf(
				"%w: the machine is busy: processes wait for a CPU %.0f%% of the time",
				errSkipped,
				percent,
			)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func cpuPressure() (percent float64, ok bool) {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0, false
	}
	n, _ := fmt.Sscanf(string(text), "some avg10=%f", &percent)
	return percent, n == 1
}
