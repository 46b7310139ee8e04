package throttle

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSince(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string // a name with a leading + is the file's content at the second reading
		want  *Stops
	}{
		"version 2": {map[string]string{
			"self": "0::/a\n", "a/cpu.max": "50000 100000\n",
			"a/cpu.stat":  "usage_usec 9\nnr_periods 10\nnr_throttled 2\nthrottled_usec 500\n",
			"+a/cpu.stat": "usage_usec 9\nnr_periods 30\nnr_throttled 12\nthrottled_usec 900500\n",
		}, &Stops{0.5, 20, 10, 900 * time.Millisecond}},
		"version 1, in a container that sees its path on the host": {map[string]string{
			"self": "4:cpu,cpuacct:/docker/98e\n", "cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n",
			"cpu/cpu.stat":  "nr_periods 10\nnr_throttled 2\nthrottled_time 500\n",
			"+cpu/cpu.stat": "nr_periods 11\nnr_throttled 3\nthrottled_time 80000500\n",
		}, &Stops{2.5, 1, 1, 80 * time.Millisecond}},
		"the parent is throttled longer": {map[string]string{
			"self": "0::/a/b\n", "a/cpu.max": "100000 100000\n", "a/b/cpu.max": "50000 100000\n",
			"a/cpu.stat":    "nr_periods 10\nnr_throttled 0\nthrottled_usec 0\n",
			"+a/cpu.stat":   "nr_periods 20\nnr_throttled 9\nthrottled_usec 80000\n",
			"a/b/cpu.stat":  "nr_periods 10\nnr_throttled 0\nthrottled_usec 0\n",
			"+a/b/cpu.stat": "nr_periods 20\nnr_throttled 1\nthrottled_usec 100\n",
		}, &Stops{1, 10, 9, 80 * time.Millisecond}},
		"no quota, version 2": {map[string]string{"self": "0::/\n", "cpu.max": "max 100000\n", "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n"}, nil},
		"no quota, version 1": {map[string]string{
			"self": "1:cpu:/\n", "cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n", "cpu/cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
		}, nil},
		"another cgroup with the same name": {map[string]string{
			"self": "0::/\n", "cpu.max": "50000 100000\n",
			"cpu.stat":  "nr_periods 10\nnr_throttled 2\nthrottled_usec 500\n",
			"+cpu.stat": "nr_periods 1\nnr_throttled 0\nthrottled_usec 0\n",
		}, nil},
		"malformed": {map[string]string{"self": "0::/\n", "cpu.max": "50000\n", "cpu.stat": "nr_periods x\n"}, nil},
		"no files":  {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := map[string]string{}, map[string]string{}
			for file, content := range c.files {
				if file[0] != '+' {
					first[file] = content
				}
			}
			dir := tree(t, first)
			before := ReadAt(filepath.Join(dir, "self"), dir)
			for file, content := range c.files {
				if file[0] == '+' {
					second[file[1:]] = content
				}
			}
			for file, content := range second {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, ok := ReadAt(filepath.Join(dir, "self"), dir).Since(before)
			if ok != (c.want != nil) || ok && got != *c.want {
				t.Errorf("got %+v, %v, want %+v", got, ok, c.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(
		"1:cpu:/a\n0::/\n",
		"50000 100000\n",
		"100000\n",
		"nr_periods 1\nnr_throttled 1\nthrottled_usec 1\nthrottled_time 1\n",
	)
	f.Fuzz(func(t *testing.T, self, limit, period, stat string) {
		dir := tree(t, map[string]string{
			"self":                  self,
			"cpu.max":               limit,
			"cpu.stat":              stat,
			"cpu/cpu.cfs_quota_us":  limit,
			"cpu/cpu.cfs_period_us": period,
			"cpu/cpu.stat":          stat,
		})
		for group, g := range ReadAt(filepath.Join(dir, "self"), dir) {
			if !(g.quota > 0) || math.IsInf(g.quota, 0) || g.periods < 0 || g.throttled < 0 || g.time < 0 {
				t.Errorf("%s: got %+v, want a positive finite quota and no negative values", group, g)
			}
		}
	})
}

func TestQuota(t *testing.T) {
	dir := tree(t, map[string]string{
		"self":         "0::/a/b\n",
		"a/cpu.max":    "100000 100000\n",
		"a/cpu.stat":   "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
		"a/b/cpu.max":  "250000 100000\n",
		"a/b/cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
	})
	if got, ok := ReadAt(filepath.Join(dir, "self"), dir).Quota(); got != 1 || !ok {
		t.Errorf("got %v, %v; want 1, the parent's quota", got, ok)
	}
	if got, ok := (Reading{}).Quota(); ok {
		t.Errorf("got quota %v of an empty Reading, want none", got)
	}
}
