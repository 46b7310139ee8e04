package main

import (
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/internal/kernfile"
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
		"five copies of the excess":        {config.Settings{RelayRequestSize: 6 * mebibyte}, 24},
		"smaller requests save no memory":  {config.Settings{RelayRequestSize: mebibyte}, 14},
	} {
		if got := memoryOf(&c.settings); got != c.want*mebibyte {
			t.Errorf("%s: %d bytes, want %d MiB", name, got, c.want)
		}
	}
}

func TestMemoryLimitLeavesRoomForTheCode(t *testing.T) {
	const needed = 40 << 20
	for name, c := range map[string]struct {
		allowed kernfile.Optional[int64]
		limit   int64
		enough  bool
	}{
		"no limit":              {kernfile.Optional[int64]{}, needed, true},
		"just enough":           {kernfile.Some[int64](needed + codeMemory), needed, true},
		"a byte too little":     {kernfile.Some[int64](needed + codeMemory - 1), needed - 1, false},
		"less than the code":    {kernfile.Some[int64](codeMemory / 2), workingMemory / 2, false},
		"hardly more than that": {kernfile.Some[int64](codeMemory + workingMemory/2 + 1), workingMemory/2 + 1, false},
	} {
		if limit, enough := memoryLimit(needed, c.allowed); limit != c.limit || enough != c.enough {
			t.Errorf("%s: limit %d, enough: %v; want %d, %v", name, limit, enough, c.limit, c.enough)
		}
	}
}

func TestMemoryLimitUnlessSetInTheEnvironment(t *testing.T) {
	settings := &config.Settings{QueueSize: 64 << 20}
	for name, c := range map[string]struct {
		env            string
		procs, percent int
		limit          int64
	}{
		"by default":  {"", 1, 50, memoryOf(settings)},
		"environment": {"2", 2, 200, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			procs, percent, limit := runtime.GOMAXPROCS(2), debug.SetGCPercent(200), debug.SetMemoryLimit(math.MaxInt64)
			t.Cleanup(func() {
				runtime.GOMAXPROCS(procs)
				debug.SetGCPercent(percent)
				debug.SetMemoryLimit(limit)
			})
			for _, variable := range []string{"GOMAXPROCS", "GOGC", "GOMEMLIMIT"} {
				t.Setenv(variable, c.env)
			}
			limitMemory(settings, slog.New(slog.DiscardHandler))
			if n := runtime.GOMAXPROCS(0); n != c.procs {
				t.Errorf("GOMAXPROCS is %d, want %d", n, c.procs)
			}
			if n := debug.SetGCPercent(-1); n != c.percent {
				t.Errorf("GOGC is %d, want %d", n, c.percent)
			}
			if n := debug.SetMemoryLimit(-1); n > c.limit || n < c.limit && c.env != "" {
				t.Errorf("the memory limit is %d bytes, want %d, or less in a small container", n, c.limit)
			}
		})
	}
}

func TestTheDiskProbeWritesToTheTemporaryDirectoryByDefault(t *testing.T) {
	if dir := probeDir(&config.Settings{}); dir != os.TempDir() {
		t.Errorf("the default directory is %q, want %q", dir, os.TempDir())
	}
	if dir := probeDir(&config.Settings{ProbeDir: "/data"}); dir != "/data" {
		t.Errorf("the configured directory is %q, want /data", dir)
	}
}
