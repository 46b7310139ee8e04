package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/internal/fixture"
)

var idB, idC = strings.Repeat("b2", 32), strings.Repeat("c3", 32)

// lifecycle is a pod with a sidecar (pid 200) whose other containers start and stop.
type lifecycle struct {
	*sampler
	pod *Pod
}

func newLifecycle(t *testing.T, cfg PodConfig) *lifecycle {
	t.Helper()
	dir := fixture.Lay(t, "testdata/pod-v2-private-namespaces.txt")
	cfg.ProcRoot = dir + "/proc"
	pod, err := NewPod(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pod.Close)
	return &lifecycle{sampler: newSampler(t, dir, pod.Sources()...), pod: pod}
}

// start creates or replaces a process.
func (l *lifecycle) start(pid int, comm, cgroup string, startTime int) {
	l.tb.Helper()
	dir := fmt.Sprintf("proc/%d/", pid)
	fixture.Write(l.tb, l.dir, dir+"stat",
		fmt.Sprintf("%d (%s) S 1 1 1 0 -1 0 1 0 1 0 1 1 0 0 20 0 1 0 %d 4096 1\n", pid, comm, startTime))
	fixture.Write(l.tb, l.dir, dir+"cgroup", cgroup+"\n")
	l.thread(pid, 2000)
}

func (l *lifecycle) thread(pid, runDelay int) {
	l.tb.Helper()
	fixture.Write(l.tb, l.dir, fmt.Sprintf("proc/%d/task/%d/schedstat", pid, pid), fmt.Sprintf("1 %d 1\n", runDelay))
}

func (l *lifecycle) stop(pids ...int) {
	l.tb.Helper()
	for _, pid := range pids {
		if err := os.RemoveAll(filepath.Join(l.dir, "proc", fmt.Sprint(pid))); err != nil {
			l.tb.Fatal(err)
		}
	}
}

// matching returns the number of points whose name and attributes contain all parts, and the sum of
// their values.
func matching(points map[string]float64, parts ...string) (n int, sum float64) {
next:
	for name, value := range points {
		for _, part := range parts {
			if !strings.Contains(name, part) {
				continue next
			}
		}
		n++
		sum += value
	}
	return n, sum
}

func (l *lifecycle) expect(points map[string]float64, want int, parts ...string) {
	l.tb.Helper()
	if n, _ := matching(points, parts...); n != want {
		l.tb.Errorf("%d points of %v, want %d", n, parts, want)
	}
}

func TestSourcesShareOneScan(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	before := l.pod.generation
	for range 5 {
		l.collect()
	}
	if got := l.pod.generation - before; got != 5 {
		t.Errorf("%d scans in 5 collections, want one per collection", got)
	}
}

// The neighbor is the only container besides the sidecar's. The pause container does not count.
func TestNeighborIsTheOnlyOtherContainer(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	expect := func(want string) {
		t.Helper()
		l.collect()
		if got := l.pod.Neighbor(); got != want {
			t.Errorf("the neighbor is %q, want %q", got, want)
		}
	}
	expect(idB)
	l.start(1, "pause", "0::/../cri-containerd-"+strings.Repeat("d4", 32)+".scope", 1)
	expect(idB)
	l.start(300, "other", "0::/../cri-containerd-"+idC+".scope", 1)
	expect("")
	l.stop(300)
	expect(idB)
	l.stop(100, 101)
	expect("")
}

func TestContainersThatAreGoneAreForgotten(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	points := l.collect()
	l.expect(points, 1, "container.memory.usage", idB)
	l.expect(points, 2, "process.thread.count", idB)
	l.stop(100, 101)
	l.expect(l.collect(), 0, idB)
	for round := range 50 { // a container that crashes repeatedly, each time with another id
		id, pid := fmt.Sprintf("%064x", round), 1000+round
		l.start(pid, "app", "0::/../cri-containerd-"+id+".scope", round)
		fixture.Write(t, l.dir, fmt.Sprintf("proc/%d/mountinfo", pid),
			"1 1 0:1 /../cri-containerd-"+id+".scope /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
		fixture.Write(t, l.dir, fmt.Sprintf("proc/%d/root/sys/fs/cgroup/memory.current", pid), "4096\n")
		points := l.collect()
		l.expect(points, 1, "container.memory.usage", id)
		l.expect(points, 1, "process.thread.count", id)
		l.stop(pid)
		l.expect(l.collect(), 0, id)
	}
	c, p := &l.pod.containers, &l.pod.processes
	if len(c.others) != 0 || len(c.list) != 1 || len(p.known) != 4 || len(p.byContainer) != 0 {
		t.Errorf("remembers %d containers, %d cgroups, %d processes, %d containers with processes; want 0, 1, 4, 0",
			len(c.others), len(c.list), len(p.known), len(p.byContainer))
	}
	if l.log.Len() > 0 {
		t.Errorf("logged: %s", l.log.String())
	}
}

// A container is still read after the process through whose root directory it was read has exited.
func TestContainerIsReadThroughAProcessThatStillRuns(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	l.collect()
	for _, name := range []string{"mountinfo", "root"} {
		if err := os.Rename(l.dir+"/proc/100/"+name, l.dir+"/proc/101/"+name); err != nil {
			t.Fatal(err)
		}
	}
	l.stop(100)
	points := l.collect()
	l.expect(points, 1, "container.memory.usage", idB)
	l.expect(points, 1, "process.thread.count", idB)
}

// A container is read through a process that is accessible. The first process may belong to another
// user, as in a server that starts as root.
func TestContainerIsReadThroughAnAccessibleProcess(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	l.start(50, "master", "0::/../cri-containerd-"+idB+".scope", 1)
	fixture.Write(
		t,
		l.dir,
		"proc/50/mountinfo",
		"1 1 0:1 /../cri-containerd-"+idB+".scope /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
	)
	fixture.Write(t, l.dir, "proc/50/root", "not a directory, so reading below it fails")
	pod, err := NewPod(l.pod.config)
	if err != nil {
		t.Fatal(err)
	}
	s := newSampler(t, l.dir, pod.Sources()...)
	l.expect(s.collect(), 1, "container.memory.usage", idB)
	if s.log.Len() > 0 {
		t.Errorf("logged: %s", s.log.String())
	}
}

func TestReusedPIDIsANewProcess(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	l.collect()
	l.thread(101, 5000)
	if _, delay := matching(l.collect(), "run_queue.time", "process.pid=101"); delay != 3e-6 {
		t.Errorf("run delay %v s, want the increase, 3 µs", delay)
	}
	l.start(101, "worker (1)", "0::/../cri-containerd-"+idB+".scope", 99)
	l.thread(101, 9000)
	if n, delay := matching(l.collect(), "run_queue.time", "process.pid=101"); n != 1 || delay != 0 {
		t.Errorf("%d points, run delay %v s; want one point that starts at 0", n, delay)
	}
	l.start(101, "stranger", "0::/../../pod2/cri-containerd-"+idC+".scope", 100)
	l.expect(l.collect(), 0, "process.pid=101")
}

func TestNamesSelectProcesses(t *testing.T) {
	// Processes are selected by executable, by comm if that differs from the executable's name, and
	// by comm if the executable is hidden.
	l := newLifecycle(t, PodConfig{Processes: []string{"application-server", "sh", "stranger"}})
	points := l.collect()
	l.expect(points, 4, "process.thread.count")
	for _, name := range []string{"sidecar", "application-server", "busybox", "stranger"} {
		l.expect(points, 1, "process.thread.count", "process.executable.name="+name)
	}
}

// On a crowded node, the processes of other pods are rechecked in turn, a few in each scan.
func TestRecheckIsBoundedAndReachesEveryProcess(t *testing.T) {
	const others = 10 * recheckCount
	l := newLifecycle(t, PodConfig{})
	for i := range others {
		l.start(1000+i, "stranger", "0::/../../pod2/cri-containerd-"+idC+".scope", 1)
	}
	for range 3 {
		l.collect()
	}
	inspections := func() (sum int) {
		for i := range others {
			sum += l.pod.processes.known[1000+i].inspections
		}
		return sum
	}
	before := inspections()
	l.collect()
	if got := inspections() - before; got > recheckCount {
		t.Errorf("%d processes of other pods inspected in one scan, want at most %d", got, recheckCount)
	}
	for i := range others { // all move into the pod
		l.start(1000+i, "app", "0::/../cri-containerd-"+idB+".scope", 1)
	}
	seen := 0
	for scans := 0; seen < maxProcesses-4 && scans < 2*others/recheckCount; scans++ {
		seen, _ = matching(l.collect(), "process.thread.count", "process.executable.name=app,")
	}
	points := l.collect()
	l.expect(points, maxProcesses, "process.thread.count")
	l.expect(points, 1, "process.thread.count", "process.pid=200")
	if !strings.Contains(l.log.String(), "more than 100 processes") {
		t.Errorf("the log does not say that some are not reported: %s", l.log.String())
	}
}

func TestOwnProcessIsAlwaysReported(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	for i := range maxProcesses {
		l.start(10+i, "app", "0::/../cri-containerd-"+idB+".scope", 1)
	}
	points := l.collect()
	l.expect(points, maxProcesses, "process.thread.count")
	l.expect(points, 1, "process.thread.count", "process.executable.name=sidecar")
}

// With Docker's --network container:…, the sidecar shares files such as /etc/hostname with another
// container, and the paths of these files contain the id of that container.
func TestIDOfAnotherContainerIsCleared(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	mountinfo, err := os.ReadFile(l.dir + "/proc/200/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	shared := string(
		mountinfo,
	) + "90 26 254:1 /docker/containers/" + idB + "/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n"
	fixture.Write(t, l.dir, "proc/200/mountinfo", shared)
	pod, err := NewPod(PodConfig{ProcRoot: l.dir + "/proc"})
	if err != nil {
		t.Fatal(err)
	}
	if id := pod.ContainerID(); id != "" {
		t.Errorf("got the container id %s, want none, since it is another container's", id)
	}
	points := newSampler(t, l.dir, pod.Sources()...).collect()
	l.expect(points, 1, "container.memory.usage", idB)
	l.expect(points, 2, "container.memory.usage")
	l.expect(points, 0, "process.pid=200", idB)
	l.stop(100, 101)
	if pod, err = NewPod(PodConfig{ProcRoot: l.dir + "/proc"}); err != nil || pod.ContainerID() != idB {
		t.Errorf("got %v, %v; want the id, which no other container has", pod, err)
	}
}

func TestCgroupRootWithoutCgroupsIsAnError(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	_, err := NewPod(PodConfig{ProcRoot: l.dir + "/proc", CgroupRoot: "/nowhere"})
	if err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("got %v, want an error that names the directory", err)
	}
}

// If the sidecar's process is moved to another cgroup, as systemd may do, that cgroup is reported.
func TestOwnCgroupIsFoundAgainAfterAMove(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	fixture.Write(t, l.dir, "own/sub/memory.current", "77\n")
	fixture.Write(t, l.dir, "proc/200/cgroup", "0::/sub\n")
	points := l.collect()
	l.expect(points, 1, "container.memory.usage", "poolgauge.cgroup.path=/sub}")
	l.expect(points, 1, "poolgauge.cgroup.memory.usage", "poolgauge.cgroup.path=/}")
}

// The sidecar's process is reported under the configured name, whatever its executable is called.
func TestOwnProcessHasTheConfiguredName(t *testing.T) {
	l := newLifecycle(t, PodConfig{Self: "own-name"})
	points := l.collect()
	l.expect(points, 1, "process.thread.count", "process.executable.name=own-name,", "process.pid=200")
	l.expect(points, 0, "process.thread.count", "process.executable.name=sidecar,")
}

// A kernel without cgroups has no /proc/<pid>/cgroup. Processes are still reported.
func TestProcessesAreReportedWithoutCgroups(t *testing.T) {
	l := newLifecycle(t, PodConfig{Processes: []string{"application-server"}})
	for _, pid := range []string{"100", "101", "200", "201"} {
		if err := os.Remove(filepath.Join(l.dir, "proc", pid, "cgroup")); err != nil {
			t.Fatal(err)
		}
	}
	points := l.collect()
	l.expect(points, 1, "process.thread.count", "process.executable.name=sidecar,")
	l.expect(points, 1, "process.thread.count", "process.executable.name=application-server,")
	l.stop(100)
	l.expect(l.collect(), 0, "process.executable.name=application-server,")
}

// The kernel keeps only 15 bytes of a name, so a longer configured name matches by its first 15
// bytes. A configured name that no process has is logged once.
func TestNamesMatchByTheirFirst15Bytes(t *testing.T) {
	l := newLifecycle(t, PodConfig{Processes: []string{"averylongprocessname", "typo"}})
	l.start(300, "averylongproces", "0::/../cri-containerd-"+idB+".scope", 1)
	for range 3 {
		l.expect(l.collect(), 1, "process.thread.count", "process.pid=300")
	}
	if got := l.log.String(); strings.Count(got, "typo") != 1 || strings.Contains(got, "averylong") {
		t.Errorf("logged:\n%s\nwant one line, about the name that no process has", got)
	}
}

// A limit of the parent cgroup also applies to the container, and the next collection uses a
// changed limit.
func TestAvailableMemoryIsTheSmallestRemainder(t *testing.T) {
	dir := fixture.Lay(t, "testdata/pod-v2-cgroup-root.txt")
	root, _ := os.ReadFile(filepath.Join(dir, "cgroup-root"))
	pod, err := NewPod(PodConfig{ProcRoot: dir + "/proc", CgroupRoot: strings.TrimSpace(string(root))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pod.Close)
	s := newSampler(t, dir, pod.Sources()...)
	s.collect()
	own := pod.containers.own.group
	write := func(g *group, name, body string) {
		path := filepath.Join(filepath.Dir(g.EventsPath()), name)
		if err := os.WriteFile(path, []byte(body+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want float64) {
		t.Helper()
		if n, got := matching(s.collect(), "container.memory.available", own.Path+"}"); n != 1 || got != want {
			t.Errorf("%d points, %v available; want %v", n, got, want)
		}
	}
	write(own, "memory.current", "60000000")
	write(own, "memory.stat", "inactive_file 10000000")
	write(own, "memory.max", "100000000")
	expect(50000000)
	write(own, "memory.max", "max")
	write(own.above[0], "memory.current", "90000000")
	write(own.above[0], "memory.stat", "inactive_file 0")
	write(own.above[0], "memory.max", "97000000")
	expect(7000000)
	write(own, "memory.max", "100000000") // leaves more than the parent
	expect(7000000)
	write(own, "memory.max", "52000000") // resized in place
	expect(2000000)
	write(own, "cpu.max", "70000 100000")
	if n, got := matching(s.collect(), "cgroup.cpu.limit", own.Path+"}"); n != 1 || got != .7 {
		t.Errorf("%d points, a limit of %v CPUs; want 0.7", n, got)
	}
}
