package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/throttle"
)

// fakeCgroup is a fake cgroup with a quota of half a CPU. Its periods advance with time.
type fakeCgroup struct {
	dir       string
	start     time.Time
	throttles bool              // in every period
	files     map[string]string // version1 or version2
}

// The files of both cgroup versions, and their contents. "stat" is the name of the file with the
// throttling counters.
var (
	version2 = map[string]string{"self": "0::/pod\n", "pod/cpu.max": "50000 100000\n", "stat": "pod/cpu.stat"}
	version1 = map[string]string{
		"self": "4:cpu,cpuacct:/pod\n", "cpu/pod/cpu.cfs_quota_us": "50000\n", "cpu/pod/cpu.cfs_period_us": "100000\n",
		"stat": "cpu/pod/cpu.stat",
	}
)

func (c *fakeCgroup) write(t *testing.T, name, content string) {
	t.Helper()
	file := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// read updates the files and returns what the cgroup's throttling counters are now.
func (c *fakeCgroup) read(t *testing.T) throttle.Reading {
	t.Helper()
	periods, throttled := int64(time.Since(c.start)/(100*time.Millisecond)), int64(0)
	if c.throttles {
		throttled = periods
	}
	for name, content := range c.files {
		if name != "stat" {
			c.write(t, name, content)
		}
	}
	c.write(t, c.files["stat"], fmt.Sprintf("nr_periods %d\nnr_throttled %d\nthrottled_usec %d\nthrottled_time %d\n",
		periods, throttled, throttled*50_000, throttled*50_000_000))
	return throttle.ReadAt(filepath.Join(c.dir, "self"), c.dir)
}

// A quota of half a CPU is named as the limit if it throttles the process, and only then.
func TestAQuotaThatThrottlesIsNamedAsTheLimit(t *testing.T) {
	for version, files := range map[string]map[string]string{"version 2": version2, "version 1": version1} {
		for _, throttles := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, throttles %v", version, throttles), func(t *testing.T) {
				c := &fakeCgroup{dir: t.TempDir(), start: time.Now(), throttles: throttles, files: files}
				o := options(Work{"spin", "computes", false, func(context.Context) (task, func(), error) {
					return func(context.Context) error { hash(2000); return nil }, func() {}, nil
				}})
				o.Max, o.Window, o.readQuota = 2, 150*time.Millisecond, func() throttle.Reading { return c.read(t) }
				r := Run(t.Context(), o)
				var b strings.Builder
				if err := r.Write(&b); err != nil {
					t.Fatal(err)
				}
				text := strings.Join(strings.Fields(b.String()), " ")
				if !strings.Contains(text, "a quota of 0.5 CPUs") {
					t.Errorf("the quota is not mentioned in\n%s", text)
				}
				const limit = "The CPU quota of 0.5 CPUs is the limit, not the code"
				if named := strings.Contains(text, limit); named != throttles {
					t.Errorf("the quota is named as the limit: %v, want %v, in\n%s", named, throttles, text)
				}
			})
		}
	}
}

// If CgroupRoot is set, the quota is read from the cgroups mounted there.
func TestQuotaIsReadFromCgroupRoot(t *testing.T) {
	c := &fakeCgroup{
		dir: t.TempDir(), start: time.Now(), throttles: true, files: map[string]string{"stat": "cpu.stat"},
	}
	// the root cgroup of both versions, since the cgroup of this process does not exist there
	c.write(t, "cpu.max", "50000 100000\n")
	c.write(t, "cpu/cpu.cfs_quota_us", "50000\n")
	c.write(t, "cpu/cpu.cfs_period_us", "100000\n")
	var mu sync.Mutex
	spin := func(context.Context) (task, func(), error) {
		return func(context.Context) error {
			hash(2000)
			mu.Lock()
			defer mu.Unlock()
			for _, stat := range []string{"cpu.stat", "cpu/cpu.stat"} {
				c.files["stat"] = stat
				c.read(t)
			}
			return nil
		}, func() {}, nil
	}
	o := options(Work{"spin", "computes", false, spin})
	o.Max, o.Rounds, o.Window, o.CgroupRoot = 2, 1, 10*time.Millisecond, c.dir
	if r := Run(t.Context(), o); r.Quota != 0.5 {
		t.Errorf("the quota is %v CPUs, want 0.5", r.Quota)
	}
}
