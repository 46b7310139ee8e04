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

// half is a fake cgroup with a quota of half a CPU. Its periods advance with time.
type half struct {
	dir   string
	began time.Time
	stops bool // throttled in every period
	files map[string]string
}

// The layouts of both cgroup versions: the names of the files, and the unit of the throttled time.
var (
	version2 = map[string]string{"self": "0::/pod\n", "pod/cpu.max": "50000 100000\n", "stat": "pod/cpu.stat"}
	version1 = map[string]string{
		"self": "4:cpu,cpuacct:/pod\n", "cpu/pod/cpu.cfs_quota_us": "50000\n", "cpu/pod/cpu.cfs_period_us": "100000\n",
		"stat": "cpu/pod/cpu.stat",
	}
)

func (h *half) write(t *testing.T, name, content string) {
	t.Helper()
	file := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (h *half) read(t *testing.T) throttle.Reading {
	t.Helper()
	periods, throttled := int64(time.Since(h.began)/(100*time.Millisecond)), int64(0)
	if h.stops {
		throttled = periods
	}
	for name, content := range h.files {
		if name != "stat" {
			h.write(t, name, content)
		}
	}
	h.write(t, h.files["stat"], fmt.Sprintf("nr_periods %d\nnr_throttled %d\nthrottled_usec %d\nthrottled_time %d\n",
		periods, throttled, throttled*50_000, throttled*50_000_000))
	return throttle.ReadAt(filepath.Join(h.dir, "self"), h.dir)
}

// A quota of half a CPU is named as the limit if it throttles the process, and only then.
func TestAQuotaThatThrottlesIsNamedAsTheLimit(t *testing.T) {
	for version, files := range map[string]map[string]string{"version 2": version2, "version 1": version1} {
		for _, stops := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, stops %v", version, stops), func(t *testing.T) {
				h := &half{dir: t.TempDir(), began: time.Now(), stops: stops, files: files}
				o := options(Work{"spin", "computes", false, func(context.Context) (task, func(), error) {
					return func(context.Context) error { hash(2000); return nil }, func() {}, nil
				}})
				o.Max, o.Window, o.readQuota = 2, 150*time.Millisecond, func() throttle.Reading { return h.read(t) }
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
				if named := strings.Contains(text, limit); named != stops {
					t.Errorf("named as the limit: %v, expected %v, in\n%s", named, stops, text)
				}
			})
		}
	}
}

// With CgroupRoot, the quota is read from the cgroups there.
func TestQuotaOfTheCgroupRoot(t *testing.T) {
	h := &half{dir: t.TempDir(), began: time.Now(), stops: true, files: map[string]string{"stat": "cpu.stat"}}
	// files of the root group, in both versions, since the path of this process's own group does
	// not exist there
	h.write(t, "cpu.max", "50000 100000\n")
	h.write(t, "cpu/cpu.cfs_quota_us", "50000\n")
	h.write(t, "cpu/cpu.cfs_period_us", "100000\n")
	var mu sync.Mutex
	spin := func(context.Context) (task, func(), error) {
		return func(context.Context) error {
			hash(2000)
			mu.Lock()
			defer mu.Unlock()
			for _, stat := range []string{"cpu.stat", "cpu/cpu.stat"} {
				h.files["stat"] = stat
				h.read(t)
			}
			return nil
		}, func() {}, nil
	}
	o := options(Work{"spin", "computes", false, spin})
	o.Max, o.Rounds, o.Window, o.CgroupRoot = 2, 1, 10*time.Millisecond, h.dir
	if r := Run(t.Context(), o); r.Quota != 0.5 {
		t.Errorf("a quota of %v CPUs, want 0.5", r.Quota)
	}
}
