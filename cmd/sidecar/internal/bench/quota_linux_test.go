package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// groupVariable names the environment variable that tells a child process of the test below which
// cgroup to join.
const groupVariable = "POOLGAUGE_TEST_GROUP"

// The quota of a real cgroup is named as the limit.
func TestARealQuotaIsNamedAsTheLimit(t *testing.T) {
	if group := os.Getenv(groupVariable); group != "" {
		benchIn(t, group)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestARealQuotaIsNamedAsTheLimit$", "-test.v")
	cmd.Env = append(os.Environ(), groupVariable+"="+quotaGroup(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{"a quota of 0.1 CPUs", "The CPU quota of 0.1 CPUs is the limit, not the code"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the output:\n%s", want, out)
		}
	}
}

// benchIn joins the cgroup and runs a benchmark in it.
func benchIn(t *testing.T, group string) {
	t.Helper()
	pid := []byte(strconv.Itoa(os.Getpid()))
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), pid, 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(BuiltIn("")[0])
	o.Rounds, o.Max, o.Window = 1, 4, 300*time.Millisecond
	r := Run(t.Context(), o)
	for r.Works[0].Throttled <= throttled { // other processes left too little CPU time to exceed the quota
		r = Run(t.Context(), o)
	}
	if err := r.Write(os.Stdout); err != nil {
		t.Fatal(err)
	}
}

// quotaGroup creates a v1 cgroup with a quota of a tenth of a CPU. Even on a busy machine, a
// process exceeds that quota.
func quotaGroup(t *testing.T) string {
	t.Helper()
	const mount = "/sys/fs/cgroup/cpu"
	if _, err := os.Stat(filepath.Join(mount, "cpu.cfs_quota_us")); err != nil {
		t.Skipf("needs cgroup v1: %v", err)
	}
	group, err := os.MkdirTemp(mount, "poolgauge-bench-")
	if err != nil {
		t.Skipf("cannot create a cgroup: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	for file, content := range map[string]string{"cpu.cfs_period_us": "50000", "cpu.cfs_quota_us": "5000"} {
		if err := os.WriteFile(filepath.Join(group, file), []byte(content), 0o600); err != nil {
			t.Skipf("cannot set a CPU quota: %v", err)
		}
	}
	return group
}
