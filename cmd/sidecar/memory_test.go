package main

import (
	"testing"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
)

func TestMemoryGrowsWithWhatTheSettingsAllow(t *testing.T) {
	const mebibyte = 1 << 20
	for name, c := range map[string]struct {
		settings config.Settings
		want     int64 // MiB
	}{
		"no queue":                         {config.Settings{}, 14},
		"a queue in memory":                {config.Settings{QueueSize: 64 * mebibyte}, 78},
		"a queue on disk, with its index":  {config.Settings{QueueSize: 64 * mebibyte, QueueDir: "/queue"}, 28},
		"a live picture of the usual size": {config.Settings{LiveSize: 4 * mebibyte}, 14},
		"a larger live picture":            {config.Settings{LiveSize: 36 * mebibyte}, 46},
		"requests of the usual size":       {config.Settings{RelayRequestSize: 4 * mebibyte}, 14},
		"five copies of what is over it":   {config.Settings{RelayRequestSize: 6 * mebibyte}, 24},
		"smaller requests save no memory":  {config.Settings{RelayRequestSize: mebibyte}, 14},
	} {
		if got := memoryOf(&c.settings); got != c.want*mebibyte {
			t.Errorf("%s: %d bytes, want %d MiB", name, got, c.want)
		}
	}
}
