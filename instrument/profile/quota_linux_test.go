package profile

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/thread"
)

// groupVariable is the environment variable that names the cgroup that the test's subprocess joins.
const groupVariable = "POOLGAUGE_TEST_GROUP"

// A task that computes under a quota is classified as CPU-bound or undetermined, never as
// I/O-bound, and the reasons mention the quota.
func TestReasonsMentionQuota(t *testing.T) {
	if group := os.Getenv(groupVariable); group != "" {
		computeIn(t, group)
		return
	}
	group := quotaGroup(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReasonsMentionQuota$", "-test.v")
	cmd.Env = append(os.Environ(), groupVariable+"="+group)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("computing in cgroup %s: %v\n%s", group, err, out)
	}
	text := string(out)
	if !strings.Contains(text, "CPU-bound:") && !strings.Contains(text, "undetermined:") ||
		!strings.Contains(text, "the CPU quota of 0.2 CPUs throttled the process in") {
		t.Errorf("want CPU-bound or undetermined, and the quota mentioned, got\n%s", text)
	}
}

// quotaGroup creates a v1 cgroup with a quota of a fifth of a CPU.
func quotaGroup(t *testing.T) string {
	t.Helper()
	const mount = "/sys/fs/cgroup/cpu"
	if _, err := os.Stat(filepath.Join(mount, "cpu.cfs_quota_us")); err != nil {
		t.Skipf("cgroup v1 is not available: %v", err)
	}
	group, err := os.MkdirTemp(mount, "poolgauge-profile-")
	if err != nil {
		t.Skipf("cannot create a cgroup: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	for file, content := range map[string]string{"cpu.cfs_period_us": "50000", "cpu.cfs_quota_us": "10000"} {
		if err := os.WriteFile(filepath.Join(group, file), []byte(content), 0o600); err != nil {
			t.Skipf("cannot set a quota: %v", err)
		}
	}
	return group
}

// computeIn moves the process to the given cgroup, and prints the profile of a task that computes.
func computeIn(t *testing.T, group string) {
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	for {
		p, err := Times(t.Context(), 10, func(context.Context) error {
			for begin := thread.CPU(); thread.CPU()-begin < 10*time.Millisecond; {
				continue
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// Try again if other processes used so much CPU time that the quota did not throttle.
		if p.ThrottledPeriods.Or(0) > 0 && p.ThrottledTime.Or(0) > 0 {
			fmt.Println(p)
			return
		}
	}
}
