package proc

import (
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/fixture"
)

// Boot uses the btime line or, if that is missing or impossible, the uptime of the system.
func TestBoot(t *testing.T) {
	now := time.Now()
	fromUptime := time.Time{}
	if up, ok := uptime(); ok {
		fromUptime = now.Add(-up).Truncate(time.Second)
	}
	for name, c := range map[string]struct {
		stat string
		want time.Time
	}{
		"btime":               {"cpu 1 2 3 4\nbtime 1700000000\n", time.Unix(1_700_000_000, 0)},
		"no btime":            {"cpu 1 2 3 4\n", fromUptime},
		"btime 0":             {"btime 0\n", fromUptime},
		"btime in the future": {"btime 99999999999\n", fromUptime},
		"malformed btime":     {"btime x\n", fromUptime},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fixture.Write(t, dir, "stat", c.stat)
			if got := NewFS(dir).Boot(now); got.Sub(c.want).Abs() > 2*time.Second {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
