package cgroup

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// These tests use the running kernel. They create cgroups and namespaces, and are skipped where
// that is not permitted.

// newGroup creates a cgroup below the mount of a controller and writes the given files in it. The
// cgroup is removed when the test ends.
func newGroup(t *testing.T, tree *Tree, c controller, files map[string]string) string {
	t.Helper()
	mount := tree.views[c].dir
	if mount == "" {
		mount = tree.views[unified].dir
	}
	dir := filepath.Join(mount, fmt.Sprintf("poolgauge-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		t.Skipf("cannot create a cgroup: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
	})
	for name, value := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644); err != nil {
			t.Skipf("cannot set the cgroup's limits: %v", err)
		}
	}
	return dir
}

// spin starts a busy process in the given cgroups.
func spin(t *testing.T, groups ...string) (pid int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails only if it has already exited
		_ = cmd.Wait()         // "signal: killed"
	})
	for _, g := range groups {
		if err := os.WriteFile(g+"/cgroup.procs", []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
			t.Skipf("cannot move the process to a cgroup: %v", err)
		}
	}
	return cmd.Process.Pid
}

func realTree(t *testing.T) *Tree {
	t.Helper()
	tree, err := Open(Config{})
	if err != nil {
		t.Skipf("no cgroups: %v", err)
	}
	return tree
}

// A busy process with a quota of a fifth of a CPU is throttled, and its CPU time increases.
func TestThrottlingIsRead(t *testing.T) {
	tree := realTree(t)
	quota := map[string]string{"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "2000"}
	limit := map[string]string{"memory.limit_in_bytes": "67108864"}
	if tree.views[memory].dir == "" && tree.views[cpu].dir == "" {
		quota = map[string]string{"cpu.max": "2000 10000"}
		limit = map[string]string{"memory.max": "67108864"}
	}
	groups := []string{newGroup(t, tree, cpu, quota), newGroup(t, tree, memory, limit)}
	if dir := tree.views[cpuacct].dir; dir != "" && dir != tree.views[cpu].dir {
		groups = append(groups, newGroup(t, tree, cpuacct, nil))
	}
	pid := spin(t, groups...)

	m, err := readMembership(Config{Process: strconv.Itoa(pid)})
	if err != nil {
		t.Fatal(err)
	}
	lineage, err := tree.Lineage(m)
	if err != nil {
		t.Fatal(err)
	}
	var r kernfile.Reader
	fail := func(err error) { t.Error(err) }
	if got := lineage[0].Memory(&r, fail); got.Limit != kernfile.Some[int64](64<<20) || !got.Usage.Defined {
		t.Errorf("memory: got %+v, want a limit of 64 MiB", got)
	}
	if got, err := cpuQuota(lineage); err != nil || got != kernfile.Some(0.2) {
		t.Errorf("effective CPUs: got %v, %v; want the quota, 0.2", got, err)
	}
	deadline := time.Now().Add(time.Minute)
	var got CPU
	for range time.Tick(5 * time.Millisecond) {
		got = lineage[0].CPU(&r, fail)
		if got.ThrottledPeriods.Value >= 10 && got.ThrottledTime.Value > 0 &&
			got.User.Value+got.System.Value >= 20*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not throttled within a minute: %+v", got)
		}
	}
	if got.Limit.Value != 0.2 || got.Periods.Value < got.ThrottledPeriods.Value {
		t.Errorf("got %+v, want a limit of 0.2 and no more throttled periods than periods", got)
	}
}

// In a cgroup namespace, the process's cgroup is found in the host's mount, although the root of
// that mount is above the root of the namespace.
func TestNamespaceRootIsFoundByInode(t *testing.T) {
	if file := os.Getenv("POOLGAUGE_TEST_LINEAGE"); file != "" {
		tree, m := realTree(t), ownMembership(t)
		lineage, err := tree.Lineage(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(lineage[0].Path), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	tree := realTree(t)
	fsType, options, c := "cgroup2", "rw", unified
	if tree.views[memory].dir != "" {
		fsType, options, c = "cgroup", "memory", memory
	}
	group := newGroup(t, tree, c, nil)
	file, mnt := filepath.Join(t.TempDir(), "lineage"), t.TempDir()
	// The shell joins the cgroup first, so that the cgroup becomes the root of the namespace.
	script := `echo $$ > "$1/cgroup.procs" && exec unshare -C -m sh -c 'mount -t "$2" -o "$3" none "$4" && exec "$5" -test.run "$6"' sh "$@"`
	cmd := exec.Command("sh", "-c", script, "sh", group, fsType, options, mnt, os.Args[0], "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "POOLGAUGE_TEST_LINEAGE="+file)
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("--- FAIL")) {
		t.Fatalf("the test failed in the namespace: %s", out)
	}
	got, errFile := os.ReadFile(file)
	if err != nil || errFile != nil {
		t.Skipf("cannot create namespaces and mounts: %v, %s", err, out)
	}
	if want := "/" + filepath.Base(group); string(got) != want {
		t.Errorf("the process's cgroup is at %s, want %s", got, want)
	}
}

func ownMembership(t *testing.T) Membership {
	t.Helper()
	m, err := readMembership(Config{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEffectiveCPUsOfThisMachine(t *testing.T) {
	got, err := effectiveCPUs(Config{})
	if err != nil || got <= 0 {
		t.Errorf("got %v, %v; want a positive number", got, err)
	}
}

func BenchmarkGroup(b *testing.B) {
	tree, err := Open(Config{})
	if err != nil {
		b.Skip(err)
	}
	m, err := readMembership(Config{})
	if err != nil {
		b.Fatal(err)
	}
	lineage, err := tree.Lineage(m)
	if err != nil {
		b.Fatal(err)
	}
	var r kernfile.Reader
	fail := func(err error) { b.Error(err) }
	b.ReportAllocs()
	for b.Loop() {
		for _, g := range lineage {
			g.CPU(&r, fail)
			g.Memory(&r, fail)
		}
	}
	b.ReportMetric(float64(len(lineage)), "groups")
}

// A cgroup that is removed and created again under the same path is a new incarnation.
func TestRecreatedGroupHasANewIncarnation(t *testing.T) {
	tree := realTree(t)
	c := memory
	if tree.views[memory].dir == "" {
		c = unified
	}
	dir := newGroup(t, tree, c, nil)
	g := &Group{Path: "/" + filepath.Base(dir)}
	g.dirs[c] = dir
	g.init()
	var r kernfile.Reader
	fail := func(err error) { t.Error(err) }
	read := func() bool { return g.Memory(&r, fail).Usage.Defined }
	if !read() {
		t.Skip("the cgroup has no memory controller")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if read() {
		t.Error("a removed cgroup has values")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if !read() || g.Incarnation() != 1 {
		t.Errorf("incarnation %d, want 1", g.Incarnation())
	}
}
